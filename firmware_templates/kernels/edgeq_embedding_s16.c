/* Rows of a table by their numbers. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

EDGEQ_KERNEL void edgeq_embedding_s16(const edgeq_embedding_params *p, const int16_t *x,
                                      int8_t *y) {
    for (int32_t i = 0; i < p->count; i++) {
        const int8_t *row = p->table + edgeq_clamp(x[i], 0, p->last) * p->width;
        for (int32_t k = 0; k < p->width; k++) {
            *y++ = row[k];
        }
    }
}
