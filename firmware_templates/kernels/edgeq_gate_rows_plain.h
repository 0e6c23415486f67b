/* Sums of rows in plain C. */
#ifndef EDGEQ_GATE_ROWS_PLAIN_H
#define EDGEQ_GATE_ROWS_PLAIN_H

#include "edgeq_gates.h"
#include "edgeq_kernels.h"

/* acc[i] += row i times x without its zero point, of `count` rows of `n` weights. */
static inline void edgeq_gate_rows(const int8_t *x, int32_t zero_point, const int8_t *weight,
                                   int32_t n, int32_t count, int32_t *acc) {
    for (int32_t i = 0; i < count; i++) {
        acc[i] = edgeq_gate_dot(x, zero_point, weight, n, acc[i]);
        weight += n;
    }
}

#endif
