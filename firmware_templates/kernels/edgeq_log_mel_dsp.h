/* What edgeq_log_mel.h takes, by the multiplications that keep the high word. */
#ifndef EDGEQ_LOG_MEL_DSP_H
#define EDGEQ_LOG_MEL_DSP_H

#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"

static inline int32_t edgeq_log_mel_high(int32_t a, int32_t b) {
    return edgeq_smmulr(a, b);
}

static inline int32_t edgeq_log_mel_add(int32_t a, int32_t b, int32_t c) {
    return edgeq_smmlar(a, b, c);
}

static inline int32_t edgeq_log_mel_take(int32_t a, int32_t b, int32_t c) {
#if EDGEQ_DSP_ASM
    int32_t result;
    __asm__("smmlsr %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(c));
    return result;
#else
    return c + (int32_t)((((int64_t)1 << 31) - (int64_t)a * b) >> 32);
#endif
}

static inline int32_t edgeq_log_mel_reversed(int32_t x, int32_t bits) {
#if EDGEQ_DSP_ASM
    uint32_t result;
    __asm__("rbit %0, %1" : "=r"(result) : "r"(x));
    return (int32_t)(result >> (32 - bits));
#else
    int32_t made = 0;
    for (int32_t left = bits; left > 0; left--) {
        made = 2 * made + (x & 1);
        x >>= 1;
    }
    return made;
#endif
}

static inline int32_t edgeq_log_mel_zeros(uint64_t x) {
    return __builtin_clzll(x);
}

#include "edgeq_log_mel.h"

#endif
