/* Softmax in Q15 without a divide: what all classes share, then one product a class. */
#ifndef EDGEQ_SOFTMAX_Q15_H
#define EDGEQ_SOFTMAX_Q15_H

#include <stdint.h>

#include "edgeq_kernel_version.h"

typedef struct {
    const uint16_t *exp_table;
    int32_t largest;     /* logit */
    int32_t shift;       /* of e * reciprocal */
    uint32_t reciprocal; /* of the sum of exponentials, normalised */
} edgeq_softmax_q15;

/* At most 65,536 classes. */
edgeq_softmax_q15 edgeq_softmax_q15_of(const uint16_t *exp_table, const int8_t *x, int32_t classes);

/* Probability of a class from its logit, 0..32768: e * reciprocal over 2^shift, rounded. The
 * largest class has an exponential of 2^15 or more, so shift is at least 31, and what 30 bits drop
 * is below the rounding bit. (A long shift by a variable branches on cores without conditional
 * execution.) */
static inline int32_t edgeq_probability_q15(const edgeq_softmax_q15 *s, int32_t logit) {
    uint64_t e = s->exp_table[s->largest - logit];
    uint32_t p = (uint32_t)((e * s->reciprocal) >> 30);
    p = (p + (1u << (s->shift - 31))) >> (s->shift - 30);
    return p > 32768 ? 32768 : (int32_t)p;
}

#endif
