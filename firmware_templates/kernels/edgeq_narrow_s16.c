/* int16 to int8 in another scale. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

EDGEQ_KERNEL void edgeq_narrow_s16(const edgeq_narrow_params *p, const int16_t *x, int8_t *y) {
    for (int32_t i = 0; i < p->size; i++) {
        y[i] = edgeq_requantize(x[i], p->multiplier, p->shift, p->output_zero_point, -128, 127);
    }
}
