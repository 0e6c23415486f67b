/* Add of two tensors of one shape: both rescaled with 20 bits of headroom, summed, requantised. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

#define HEADROOM (1 << 20)

EDGEQ_KERNEL void edgeq_add_s8(const edgeq_add_params *p, const int8_t *a, const int8_t *b,
                               int8_t *y) {
    for (int32_t i = 0; i < p->size; i++) {
        int32_t left = (a[i] - p->zero_point[0]) * HEADROOM;
        int32_t right = (b[i] - p->zero_point[1]) * HEADROOM;
        int32_t sum = edgeq_multiply(left, p->multiplier[0], p->shift[0]) +
                      edgeq_multiply(right, p->multiplier[1], p->shift[1]);
        y[i] = edgeq_requantize(sum, p->multiplier[2], p->shift[2], p->zero_point[2],
                                p->activation_min, p->activation_max);
    }
}
