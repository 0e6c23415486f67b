/* Add of two int16 tensors of one shape: rescaled with 15 bits of headroom, summed, requantised. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

#define HEADROOM (1 << 15)

EDGEQ_KERNEL void edgeq_add_s16(const edgeq_wide_add_params *p, const int16_t *a, const int16_t *b,
                                int16_t *y) {
    for (int32_t i = 0; i < p->size; i++) {
        int32_t sum = edgeq_multiply(a[i] * HEADROOM, p->multiplier[0], p->shift[0]) +
                      edgeq_multiply(b[i] * HEADROOM, p->multiplier[1], p->shift[1]);
        int32_t made = edgeq_multiply(sum, p->multiplier[2], p->shift[2]);
        y[i] = (int16_t)edgeq_clamp(made, p->activation_min, p->activation_max);
    }
}
