/* Products of matrices that are both activations. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

EDGEQ_KERNEL void edgeq_batch_matmul_s8(const edgeq_batch_matmul_params *p, const int8_t *a,
                                        const int8_t *b, int8_t *y) {
    for (int32_t i = 0; i < p->batches; i++) {
        for (int32_t j = 0; j < p->rows; j++) {
            const int8_t *row = a + i * p->a_batch + j * p->depth;
            for (int32_t k = 0; k < p->columns; k++) {
                const int8_t *column = b + i * p->b_batch + k * p->b_column;
                int32_t acc = 0;
                for (int32_t d = 0; d < p->depth; d++) {
                    acc += (row[d] - p->zero_point[0]) * (*column - p->zero_point[1]);
                    column += p->b_depth;
                }
                *y++ = edgeq_requantize(acc, p->multiplier, p->shift, p->zero_point[2], -128, 127);
            }
        }
    }
}
