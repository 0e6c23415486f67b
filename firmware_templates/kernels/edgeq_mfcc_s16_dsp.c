/* Sound to mel cepstral coefficients, by the multiplications that keep the high word. */
#include "edgeq_log_mel_dsp.h"
#include "edgeq_mfcc.h"

EDGEQ_KERNEL void edgeq_mfcc_s16_dsp(const edgeq_mfcc_params *p, const int16_t *x, int8_t *y,
                                     void *scratch) {
    edgeq_mfcc_frames(p, x, y, scratch);
}
