/* Rows with a scale a block; each weight format passes its row length, product and a block's bytes.
 */
#ifndef EDGEQ_BLOCK_FULLY_CONNECTED_H
#define EDGEQ_BLOCK_FULLY_CONNECTED_H

#include "edgeq_dot.h"
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

/* Inlined into its one caller, so that `product` is a known function. */
static inline void edgeq_block_fully_connected(const edgeq_block_fully_connected_params *p,
                                               const int8_t *x, int8_t *y, int32_t row_bytes,
                                               int32_t block_bytes, edgeq_row_product *product) {
    const edgeq_fully_connected_params *l = &p->layer;
    int32_t zero = l->input_zero_point;
    for (int32_t cell = 0; cell < p->cells; cell++, x += l->inputs) {
        const uint8_t *row = l->weight;
        const uint8_t *scale = p->block_scale;
        for (int32_t i = 0; i < l->outputs; i++, row += row_bytes) {
            const uint8_t *block = row;
            int32_t acc = l->bias[i];
            for (int32_t at = 0; at < l->inputs; at += p->block, block += block_bytes) {
                int32_t n = l->inputs - at < p->block ? l->inputs - at : p->block;
                int32_t total = edgeq_total(x + at, n, zero);
                acc += *scale++ * product(block, x + at, n, zero, total);
            }
            *y++ = edgeq_requantize(acc, l->multiplier[i], l->shift[i], l->output_zero_point,
                                    l->activation_min, l->activation_max);
        }
    }
}

#endif
