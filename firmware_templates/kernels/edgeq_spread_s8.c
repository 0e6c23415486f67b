/* How far the probabilities of several heads lie apart: their variance, summed over classes. */
#include "edgeq_kernels.h"
#include "edgeq_softmax_q15.h"

EDGEQ_KERNEL int32_t edgeq_spread_s8(const edgeq_signal_params *p, const int8_t *logits) {
    edgeq_softmax_q15 softmax[16];
    int64_t numerator = 0; /* sum_c (K sum_k p^2 - (sum_k p)^2), p in Q15 */
    for (int32_t k = 0; k < p->heads; k++) {
        softmax[k] = edgeq_softmax_q15_of(p->exp_table, logits + k * p->classes, p->classes);
    }
    for (int32_t c = 0; c < p->classes; c++) {
        int64_t squares = 0;
        int32_t sum = 0;
        for (int32_t k = 0; k < p->heads; k++) {
            int32_t q = edgeq_probability_q15(&softmax[k], logits[k * p->classes + c]);
            squares += q * q;
            sum += q;
        }
        numerator += p->heads * squares - (int64_t)sum * sum;
    }
    return (int32_t)(((numerator >> 6) * p->factor + ((int64_t)1 << 33)) >> 34);
}
