/* Entropy of the softmax of logits: how unsure an answer is. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"
#include "edgeq_softmax_q15.h"

/* ln(1 + i / 64) in Q16; the last is read where the fraction is 0. */
static const uint16_t ln_table[66] = {
    0,     1016,  2017,  3002,  3973,  4930,  5873,  6802,  7719,  8623,  9515,
    10394, 11262, 12119, 12965, 13800, 14624, 15438, 16242, 17037, 17821, 18597,
    19364, 20121, 20870, 21611, 22343, 23067, 23783, 24492, 25193, 25886, 26573,
    27252, 27924, 28589, 29248, 29900, 30546, 31185, 31818, 32445, 33067, 33682,
    34292, 34896, 35494, 36087, 36675, 37258, 37835, 38407, 38975, 39537, 40095,
    40648, 41196, 41740, 42280, 42815, 43345, 43872, 44394, 44912, 45426, 45936,
};

/* ln S, S the softmax's sum of exponentials: 2^(shift - 30) over reciprocal / 2^30. */
static int32_t ln_sum(const edgeq_softmax_q15 *s) {
    const uint16_t *point = ln_table + (s->reciprocal >> 24) - 64;
    int32_t fraction = (int32_t)((s->reciprocal >> 8) & 0xffff);
    int32_t ln_reciprocal = point[0] + (((point[1] - point[0]) * fraction) >> 16);
    return (s->shift - 30) * ln_table[64] - ln_reciprocal;
}

EDGEQ_KERNEL int32_t edgeq_entropy_s8(const edgeq_signal_params *p, const int8_t *logits) {
    edgeq_softmax_q15 s = edgeq_softmax_q15_of(p->exp_table, logits, p->classes);
    int32_t below = 0; /* mean steps below the largest logit, Q15 */
    for (int32_t i = 0; i < p->classes; i++) {
        below += edgeq_probability_q15(&s, logits[i]) * (s.largest - logits[i]);
    }
    int32_t entropy = ln_sum(&s) + edgeq_multiply(below, p->multiplier, p->shift);
    return entropy & ~(entropy >> 31); /* rounding may leave less than nothing */
}
