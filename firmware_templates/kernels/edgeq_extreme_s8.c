/* The smaller or the larger of two tensors of one scale, with broadcasting. */
#include "edgeq_kernels.h"

/* sign -1 turns the codes around, so that the smaller is the larger; a mask chooses, as compilers
 * make a branch of a comparison here. */
static inline void edgeq_extreme_row(const edgeq_extreme_params *p, const int8_t *a,
                                     const int8_t *b, int8_t *y) {
    for (int32_t i = 0; i < p->size[3]; i++) {
        int32_t left = p->sign * *a, less = left - p->sign * *b;
        y[i] = (int8_t)(p->sign * (left - (less & (less >> 31))));
        a += p->a_stride[3];
        b += p->b_stride[3];
    }
}

EDGEQ_KERNEL void edgeq_extreme_s8(const edgeq_extreme_params *p, const int8_t *a, const int8_t *b,
                                   int8_t *y) {
    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            for (int32_t k = 0; k < p->size[2]; k++) {
                edgeq_extreme_row(
                    p, a + i * p->a_stride[0] + j * p->a_stride[1] + k * p->a_stride[2],
                    b + i * p->b_stride[0] + j * p->b_stride[1] + k * p->b_stride[2], y);
                y += p->size[3];
            }
        }
    }
}
