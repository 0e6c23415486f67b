/* Sound to normalised mel energies, by the multiplications that keep the high word. */
#include "edgeq_log_mel_dsp.h"
#include "edgeq_pcen.h"

EDGEQ_KERNEL void edgeq_pcen_s16_dsp(const edgeq_pcen_params *p, const int16_t *x, int8_t *y,
                                     void *scratch) {
    edgeq_pcen_window(p, x, y, scratch);
}
