/* Softmax over the last axis as TensorFlow Lite Micro computes it: exponentials in Q0.31, their sum
 * in Q12.19, its reciprocal by gemmlowp's three Newton steps. */
#include "edgeq_kernels.h"
#include "edgeq_q31.h"

EDGEQ_KERNEL void edgeq_softmax_q31_s8(const edgeq_softmax_q31_params *p, const int8_t *x,
                                       int8_t *y) {
    const int32_t *exp_q31 = p->exp_q31;
    for (int32_t row = 0; row < p->rows; row++, x += p->classes, y += p->classes) {
        int32_t largest = -128;
        for (int32_t i = 0; i < p->classes; i++) {
            largest = x[i] > largest ? x[i] : largest;
        }
        uint32_t total = 0;
        for (int32_t i = 0; i < p->classes; i++) {
            total += ((uint32_t)exp_q31[largest - x[i]] + (1u << 11)) >> 12;
        }
        int32_t headroom = edgeq_leading_zeros_32(total);
        int32_t reciprocal = edgeq_reciprocal_q31((int32_t)((total << headroom) - (1u << 31)));
        for (int32_t i = 0; i < p->classes; i++) {
            int32_t product = edgeq_srdhm(exp_q31[largest - x[i]], reciprocal);
            int32_t q = edgeq_rdp(product, 35 - headroom) - 128;
            y[i] = (int8_t)(q > 127 ? 127 : q);
        }
    }
}
