/* Cells of an axis in the order of a table. */
#include "edgeq_kernels.h"

EDGEQ_KERNEL void edgeq_gather_s8(const edgeq_gather_params *p, const int8_t *x, int8_t *y) {
    for (int32_t i = 0; i < p->outer; i++) {
        for (int32_t j = 0; j < p->count; j++) {
            const int8_t *from = x + p->places[j] * p->inner;
            for (int32_t k = 0; k < p->inner; k++) {
                *y++ = from[k];
            }
        }
        x += p->cells * p->inner;
    }
}
