/* Tensors of one scale one behind the other along an axis. */
#include "edgeq_kernels.h"

EDGEQ_KERNEL void edgeq_concat_s8(const edgeq_concat_params *p, const int8_t *const *x, int8_t *y) {
    int32_t row = 0;
    for (int32_t i = 0; i < p->inputs; i++) {
        const int8_t *from = x[i];
        for (int32_t j = 0; j < p->outer; j++) {
            int8_t *to = y + j * p->row + row;
            for (int32_t k = 0; k < p->block[i]; k++) {
                to[k] = *from++;
            }
        }
        row += p->block[i];
    }
}
