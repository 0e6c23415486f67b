/* Rows of a table by their numbers. */
#include "edgeq_kernels.h"
#include "edgeq_layout.h"
#include "edgeq_requantize.h"

EDGEQ_KERNEL void edgeq_embedding_s16(const edgeq_embedding_params *p, const int16_t *x,
                                      int8_t *y) {
    int32_t width = p->width;
    for (int32_t i = 0; i < p->count; i++) {
        const int8_t *row = p->table + edgeq_clamp(x[i], 0, p->last) * width;
        const int8_t *end = y + width;
        while (y != end) { /* counted on what no id moves: the row's own end would be its */
            *y++ = *row++;
            EDGEQ_STEPS(row);
        }
    }
}
