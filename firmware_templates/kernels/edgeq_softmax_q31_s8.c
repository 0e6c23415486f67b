/* Softmax over the last axis as TensorFlow Lite Micro computes it: exponentials in Q0.31, their sum
 * in Q12.19, its reciprocal by gemmlowp's three Newton steps. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

static int32_t saturated(int64_t x) {
    int64_t above = x < INT32_MIN ? INT32_MIN : x;
    return (int32_t)(above > INT32_MAX ? INT32_MAX : above);
}

/* 1 / (1 + fraction) in Q0.31; fraction in Q0.31, not negative. */
static int32_t reciprocal_of(int32_t fraction) {
    int32_t half = (int32_t)(((int64_t)fraction + INT32_MAX + 1) >> 1);
    int32_t x = 1515870810 + edgeq_srdhm(half, -1010580540);
    for (int32_t i = 0; i < 3; i++) {
        int32_t error = (1 << 29) - edgeq_srdhm(half, x);
        x += saturated((int64_t)edgeq_srdhm(x, error) * 4);
    }
    return saturated((int64_t)x * 2);
}

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
        int32_t reciprocal = reciprocal_of((int32_t)((total << headroom) - (1u << 31)));
        for (int32_t i = 0; i < p->classes; i++) {
            int32_t product = edgeq_srdhm(exp_q31[largest - x[i]], reciprocal);
            int32_t q = edgeq_rdp(product, 35 - headroom) - 128;
            y[i] = (int8_t)(q > 127 ? 127 : q);
        }
    }
}
