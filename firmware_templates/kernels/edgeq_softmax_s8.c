/* Softmax over the last axis; output scale 1/256, zero point -128. */
#include "edgeq_kernels.h"
#include "edgeq_softmax_q15.h"

EDGEQ_KERNEL void edgeq_softmax_s8(const edgeq_softmax_params *p, const int8_t *x, int8_t *y) {
    for (int32_t row = 0; row < p->rows; row++, x += p->classes, y += p->classes) {
        edgeq_softmax_q15 s = edgeq_softmax_q15_of(p->exp_table, x, p->classes);
        for (int32_t i = 0; i < p->classes; i++) {
            int32_t q = ((edgeq_probability_q15(&s, x[i]) + 64) >> 7) - 128;
            y[i] = (int8_t)(q > 127 ? 127 : q);
        }
    }
}
