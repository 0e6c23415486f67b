/* LogSoftmax over the last axis; output scale 1/16, zero point 127. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

enum { FRACTION_BITS = 14, LOG_OF_2 = 181704 };

/* 16 ln(1 + i / 32) in Q14. */
static const int32_t log_table[33] = {
    0,      8067,   15892,  23491,  30876,  38059,  45050,  51859,  58496,  64969,  71286,
    77454,  83481,  89372,  95133,  100771, 106290, 111695, 116991, 122183, 127273, 132266,
    137166, 141976, 146700, 151340, 155899, 160380, 164786, 169119, 173382, 177576, 181704,
};

/* 16 ln(total / 2^15) in Q14 for total >= 2^15: a line between two places. */
static int32_t log_q14(uint32_t total) {
    int32_t zeros = edgeq_leading_zeros_32(total);
    uint32_t mantissa = total << zeros;
    const int32_t *low = log_table + ((mantissa >> 26) & 31);
    int32_t share = (int32_t)((mantissa >> 10) & 0xFFFF);
    return (16 - zeros) * LOG_OF_2 + low[0] + (((low[1] - low[0]) * share) >> 16);
}

EDGEQ_KERNEL void edgeq_log_softmax_s8(const edgeq_log_softmax_params *p, const int8_t *x,
                                       int8_t *y) {
    for (int32_t row = 0; row < p->rows; row++, x += p->classes, y += p->classes) {
        int32_t largest = -128;
        for (int32_t i = 0; i < p->classes; i++) {
            largest = x[i] > largest ? x[i] : largest;
        }
        uint32_t total = 0;
        for (int32_t i = 0; i < p->classes; i++) {
            total += p->exp_table[largest - x[i]];
        }
        int32_t base = log_q14(total) + (1 << (FRACTION_BITS - 1));
        for (int32_t i = 0; i < p->classes; i++) {
            int32_t below = ((largest - x[i]) * p->factor + base) >> FRACTION_BITS;
            y[i] = (int8_t)(127 - edgeq_clamp(below, 0, 255));
        }
    }
}
