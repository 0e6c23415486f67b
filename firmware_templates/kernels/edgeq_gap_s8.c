/* Largest less second largest logit: how sure an answer is. */
#include "edgeq_kernels.h"

/* -1 if a < b, else 0; |a - b| < 2^31. */
static int32_t below(int32_t a, int32_t b) {
    return -(int32_t)((uint32_t)(a - b) >> 31);
}

EDGEQ_KERNEL int32_t edgeq_gap_s8(const edgeq_signal_params *p, const int8_t *logits) {
    int32_t first = logits[0];
    int32_t second = -128;
    for (int32_t i = 1; i < p->classes; i++) {
        /* comparisons as masks: a compiler may make a branch of ?: */
        int32_t over = logits[i] - first;
        int32_t smaller = first + (over & below(over, 0));
        first += over & ~below(over, 0);
        second += (smaller - second) & ~below(smaller, second);
    }
    return first - second;
}
