/* The rows of a fully connected layer; each weight format passes its row length and product. */
#ifndef EDGEQ_FULLY_CONNECTED_H
#define EDGEQ_FULLY_CONNECTED_H

#include "edgeq_dot.h"
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

/* Inlined into its one caller, so that `product` is a known function: at most a call a row. */
static inline void edgeq_fully_connected(const edgeq_fully_connected_params *p, const int8_t *x,
                                         int8_t *y, int32_t row_bytes, edgeq_row_product *product) {
    const uint8_t *row = p->weight;
    int32_t n = p->inputs;
    int32_t zero = p->input_zero_point;
    int32_t total = edgeq_total(x, n, zero);
    for (int32_t i = 0; i < p->outputs; i++, row += row_bytes) {
        int32_t acc = p->bias[i] + product(row, x, n, zero, total);
        y[i] = edgeq_requantize(acc, p->multiplier[i], p->shift[i], p->output_zero_point,
                                p->activation_min, p->activation_max);
    }
}

#endif
