/* Product of two tensors, with broadcasting. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

static inline void edgeq_multiply_row(const edgeq_multiply_params *p, const int8_t *a,
                                      const int8_t *b, int8_t *y) {
    for (int32_t i = 0; i < p->size[3]; i++) {
        int32_t product = (*a - p->zero_point[0]) * (*b - p->zero_point[1]);
        y[i] = edgeq_requantize(product, p->multiplier, p->shift, p->zero_point[2],
                                p->activation_min, p->activation_max);
        a += p->a_stride[3];
        b += p->b_stride[3];
    }
}

EDGEQ_KERNEL void edgeq_multiply_s8(const edgeq_multiply_params *p, const int8_t *a,
                                    const int8_t *b, int8_t *y) {
    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            for (int32_t k = 0; k < p->size[2]; k++) {
                edgeq_multiply_row(
                    p, a + i * p->a_stride[0] + j * p->a_stride[1] + k * p->a_stride[2],
                    b + i * p->b_stride[0] + j * p->b_stride[1] + k * p->b_stride[2], y);
                y += p->size[3];
            }
        }
    }
}
