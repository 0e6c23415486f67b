/* Largest less second largest logit: how sure an answer is. */
#include "edgeq_kernels.h"

/* Clang would see a maximum in the masks of a difference and, on ARMv6-M, make a branch of it. */
#if defined(__GNUC__) && !defined(EDGEQ_PORTABLE)
#define EDGEQ_HIDDEN(x) __asm__("" : "+r"(x))
#else
#define EDGEQ_HIDDEN(x) ((void)0)
#endif

EDGEQ_KERNEL int32_t edgeq_gap_s8(const edgeq_signal_params *p, const int8_t *logits) {
    int32_t first = *logits;
    int32_t second = -128;
    for (const int8_t *end = logits + p->classes; ++logits < end;) {
        /* comparisons as masks: a compiler may make a branch of ?: */
        int32_t under = *logits - first;
        EDGEQ_HIDDEN(under);
        under &= under >> 31;
        int32_t more = first + under - second; /* the smaller of the two, less the second */
        EDGEQ_HIDDEN(more);
        second += more & ~(more >> 31);
        first = *logits - under;
    }
    return first - second;
}
