/* Largest less second largest sum of logits over several heads. */
#include "edgeq_kernels.h"

/* Clang would see a maximum in the masks of a difference and, on ARMv6-M, make a branch of it. */
#if defined(__GNUC__) && !defined(EDGEQ_PORTABLE)
#define EDGEQ_HIDDEN(x) __asm__("" : "+r"(x))
#else
#define EDGEQ_HIDDEN(x) ((void)0)
#endif

EDGEQ_KERNEL int32_t edgeq_ensemble_s8(const edgeq_signal_params *p, const int8_t *logits) {
    int32_t first = -2048; /* below every sum of 16 */
    int32_t second = -2048;
    for (int32_t c = 0; c < p->classes; c++) {
        int32_t sum = 0;
        for (int32_t k = 0; k < p->heads; k++) {
            sum += logits[k * p->classes + c];
        }
        /* comparisons as masks: a compiler may make a branch of ?: */
        int32_t under = sum - first;
        EDGEQ_HIDDEN(under);
        under &= under >> 31;
        int32_t more = first + under - second; /* the smaller of the two, less the second */
        EDGEQ_HIDDEN(more);
        second += more & ~(more >> 31);
        first = sum - under;
    }
    return first - second;
}
