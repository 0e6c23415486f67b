/* A fully connected layer by vectors. */
#ifndef EDGEQ_FULLY_CONNECTED_MVE_H
#define EDGEQ_FULLY_CONNECTED_MVE_H

#include "edgeq_fully_connected.h"
#include "edgeq_rows_mve.h"

#if EDGEQ_MVE
static inline void edgeq_fully_connected_mve(const edgeq_fully_connected_params *p, const int8_t *x,
                                             int8_t *y, int32_t row_bytes, edgeq_codes_mve codes) {
    const edgeq_rows_mve rows = {p->weight,
                                 p->bias,
                                 p->multiplier,
                                 p->shift,
                                 p->inputs,
                                 p->outputs,
                                 row_bytes,
                                 p->input_zero_point,
                                 p->output_zero_point,
                                 p->activation_min,
                                 p->activation_max};
    edgeq_outputs_mve(&rows, x, y, codes);
}
#endif

#endif
