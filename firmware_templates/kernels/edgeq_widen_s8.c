/* int8 to int16 in another scale. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

EDGEQ_KERNEL void edgeq_widen_s8(const edgeq_widen_params *p, const int8_t *x, int16_t *y) {
    for (int32_t i = 0; i < p->size; i++) {
        int32_t made = edgeq_multiply(x[i] - p->input_zero_point, p->multiplier, p->shift);
        y[i] = (int16_t)edgeq_clamp(made, -32768, 32767);
    }
}
