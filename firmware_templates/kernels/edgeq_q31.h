/* Numbers in Q0.31 as gemmlowp computes with them. */
#ifndef EDGEQ_Q31_H
#define EDGEQ_Q31_H

#include <stdint.h>

#include "edgeq_requantize.h"

static inline int32_t edgeq_saturated(int64_t x) {
    int64_t above = x < INT32_MIN ? INT32_MIN : x;
    return (int32_t)(above > INT32_MAX ? INT32_MAX : above);
}

/* 1 / (1 + fraction) in Q0.31; fraction in Q0.31, not negative. */
static inline int32_t edgeq_reciprocal_q31(int32_t fraction) {
    int32_t half = (int32_t)(((int64_t)fraction + INT32_MAX + 1) >> 1);
    int32_t x = 1515870810 + edgeq_srdhm(half, -1010580540);
    for (int32_t i = 0; i < 3; i++) {
        int32_t error = (1 << 29) - edgeq_srdhm(half, x);
        x += edgeq_saturated((int64_t)edgeq_srdhm(x, error) * 4);
    }
    return edgeq_saturated((int64_t)x * 2);
}

#endif
