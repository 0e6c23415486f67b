/* Squared difference with broadcasting: both operands rescaled with 7 bits of headroom, so that the
 * square stays inside int32. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

#define HEADROOM (1 << 7)

static inline int32_t edgeq_term(const edgeq_sum_params *p, int32_t which, int32_t value) {
    int32_t centred = (value - p->zero_point[which]) * HEADROOM;
    return edgeq_multiply(centred, p->multiplier[which], p->shift[which]);
}

static inline void edgeq_square_row(const edgeq_sum_params *p, const int8_t *a, const int8_t *b,
                                    int8_t *y) {
    for (int32_t i = 0; i < p->size[3]; i++) {
        int32_t apart = p->sign[0] * edgeq_term(p, 0, *a) + p->sign[1] * edgeq_term(p, 1, *b);
        y[i] = edgeq_requantize(apart * apart, p->multiplier[2], p->shift[2], p->zero_point[2],
                                p->activation_min, p->activation_max);
        a += p->a_stride[3];
        b += p->b_stride[3];
    }
}

EDGEQ_KERNEL void edgeq_squared_difference_s8(const edgeq_sum_params *p, const int8_t *a,
                                              const int8_t *b, int8_t *y) {
    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            for (int32_t k = 0; k < p->size[2]; k++) {
                edgeq_square_row(
                    p, a + i * p->a_stride[0] + j * p->a_stride[1] + k * p->a_stride[2],
                    b + i * p->b_stride[0] + j * p->b_stride[1] + k * p->b_stride[2], y);
                y += p->size[3];
            }
        }
    }
}
