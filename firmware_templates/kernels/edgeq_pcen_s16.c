/* Sound to normalised mel energies. */
#include "edgeq_log_mel_plain.h"
#include "edgeq_pcen.h"

EDGEQ_KERNEL void edgeq_pcen_s16(const edgeq_pcen_params *p, const int16_t *x, int8_t *y,
                                 void *scratch) {
    edgeq_pcen_window(p, x, y, scratch);
}
