/* What edgeq_log_mel.h takes, in plain C. */
#ifndef EDGEQ_LOG_MEL_PLAIN_H
#define EDGEQ_LOG_MEL_PLAIN_H

#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

static inline int32_t edgeq_log_mel_top(int64_t product) {
    return (int32_t)((product + ((int64_t)1 << 31)) >> 32);
}

static inline int32_t edgeq_log_mel_high(int32_t a, int32_t b) {
    return edgeq_log_mel_top((int64_t)a * b);
}

static inline int32_t edgeq_log_mel_add(int32_t a, int32_t b, int32_t c) {
    return c + edgeq_log_mel_top((int64_t)a * b);
}

static inline int32_t edgeq_log_mel_take(int32_t a, int32_t b, int32_t c) {
    return c + edgeq_log_mel_top(-(int64_t)a * b);
}

static inline int32_t edgeq_log_mel_reversed(int32_t x, int32_t bits) {
    int32_t made = 0;
    for (int32_t left = bits; left > 0; left--) {
        made = 2 * made + (x & 1);
        x >>= 1;
    }
    return made;
}

static inline int32_t edgeq_log_mel_zeros(uint64_t x) {
    return edgeq_leading_zeros_64(x);
}

#include "edgeq_log_mel.h"

#endif
