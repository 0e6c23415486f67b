/* The largest softmax probability of a vector of logits. */
#include "edgeq_kernels.h"
#include "edgeq_softmax_q15.h"

EDGEQ_KERNEL int32_t edgeq_confidence_s8(const uint16_t *exp_table, const int8_t *logits,
                                         int32_t classes) {
    edgeq_softmax_q15 s = edgeq_softmax_q15_of(exp_table, logits, classes);
    return edgeq_probability_q15(&s, s.largest);
}
