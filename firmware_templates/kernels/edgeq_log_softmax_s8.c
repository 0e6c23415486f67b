/* LogSoftmax over the last axis as TensorFlow Lite Micro computes it: exponentials in Q0.31, their
 * sum in Q12.19, its logarithm in Q5.26; output scale 1/16, zero point 127. */
#include "edgeq_kernels.h"
#include "edgeq_q31.h"

enum { LOG_OF_2 = 1488522236, SQRT_HALF = 1518500250, ROOT_4_HALF = 1805811301 };
enum { LOG_N = 117049297, LOG_D = 127690142, LOG_I = 1057819769, LOG_F = 638450708 };
enum { QUARTER = 1 << 23, FAR = -16 * (1 << 26) };

/* ln(total / 2^19) in Q5.26 for total from 2^19 to 2^31 - 1: a fraction of polynomials around
 * 2^-1/4, of the total or of it by the root of a half, whichever lies nearer. */
static int32_t log_q26(int32_t total) {
    int32_t zeros = edgeq_leading_zeros_32((uint32_t)total);
    int32_t others = edgeq_leading_zeros_32((uint32_t)edgeq_srdhm(total, SQRT_HALF));
    uint32_t first = (uint32_t)edgeq_srdhm(total << (zeros - 1), SQRT_HALF) * 2;
    uint32_t second = (uint32_t)total << (others - 1);
    uint32_t nearer = first < second ? first : second;
    int32_t r = (int32_t)(nearer < INT32_MAX ? nearer : INT32_MAX);
    int32_t above = (12 - zeros) * (1 << 25) + QUARTER, below = (13 - others) * (1 << 25) - QUARTER;
    int32_t whole = above > below ? above : below;

    int32_t p = (int32_t)(((int64_t)r + ROOT_4_HALF + 1) >> 1), q = (r - ROOT_4_HALF) * 2;
    int32_t square = edgeq_srdhm(q, q);
    int32_t number = edgeq_srdhm(q, r) + edgeq_srdhm(edgeq_srdhm(q, square), LOG_N);
    int32_t by = edgeq_srdhm(p, LOG_I + q + edgeq_srdhm(square, LOG_D)) + edgeq_srdhm(q, LOG_F);
    int32_t part = edgeq_srdhm(edgeq_rdp(number, 6), edgeq_reciprocal_q31(by));
    return (edgeq_srdhm(whole, LOG_OF_2) + part) * 2;
}

EDGEQ_KERNEL void edgeq_log_softmax_s8(const edgeq_log_softmax_params *p, const int8_t *x,
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
        int32_t log = log_q26((int32_t)total);
        for (int32_t i = 0; i < p->classes; i++) {
            int32_t apart = largest - x[i], near = apart < p->most ? apart : p->most;
            int32_t scaled = edgeq_srdhm(-(near << p->shift), p->multiplier);
            int32_t far = -(int32_t)(apart > p->most); /* a mask: no branch around the rest */
            int32_t below = (FAR & far) | (scaled & ~far);
            y[i] = (int8_t)edgeq_clamp(edgeq_rdp(below - log, 22) + 127, -128, 127);
        }
    }
}
