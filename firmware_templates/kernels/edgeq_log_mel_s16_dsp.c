/* Sound to log mel energies, by the multiplications that keep the high word. */
#include "edgeq_log_mel_dsp.h"

EDGEQ_KERNEL void edgeq_log_mel_s16_dsp(const edgeq_log_mel_params *p, const int16_t *x, int8_t *y,
                                        void *scratch) {
    edgeq_log_mel_frames(p, x, y, scratch);
}
