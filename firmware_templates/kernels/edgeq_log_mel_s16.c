/* Sound to log mel energies. */
#include "edgeq_log_mel_plain.h"

EDGEQ_KERNEL void edgeq_log_mel_s16(const edgeq_log_mel_params *p, const int16_t *x, int8_t *y,
                                    void *scratch) {
    edgeq_log_mel_frames(p, x, y, scratch);
}
