/* The part of a softmax that all classes share; the router, Softmax and confidence call it. */
#include "edgeq_softmax_q15.h"
#include "edgeq_requantize.h"

EDGEQ_KERNEL edgeq_softmax_q15 edgeq_softmax_q15_of(const uint16_t *exp_table, const int8_t *x,
                                                    int32_t classes) {
    edgeq_softmax_q15 s = {exp_table, -128, 0, 0};
    for (int32_t i = 0; i < classes; i++) {
        s.largest = x[i] > s.largest ? x[i] : s.largest;
    }
    uint32_t total = 0;
    for (int32_t i = 0; i < classes; i++) {
        total += exp_table[s.largest - x[i]];
    }
    int32_t zeros = edgeq_leading_zeros_32(total);
    s.reciprocal = edgeq_reciprocal_q30(total << zeros);
    s.shift = 47 - zeros;
    return s;
}
