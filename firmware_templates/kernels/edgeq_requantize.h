/* The integer contract of edgeq/ops/fixed_point.py: every rounding, on 32- and 64-bit integers. */
#ifndef EDGEQ_REQUANTIZE_H
#define EDGEQ_REQUANTIZE_H

#include <stdint.h>

/* Right shifts of negative numbers must be arithmetic, as in GCC and Clang; the array size is
 * negative where they are not. */
typedef char edgeq_arithmetic_right_shift[(-1 >> 1) == -1 ? 1 : -1];

static inline int32_t edgeq_clamp(int32_t x, int32_t low, int32_t high) {
    int32_t above = x < low ? low : x;
    return above > high ? high : above;
}

/* Rounding doubling high multiply, ties upward; b >= 0, so it cannot saturate. */
static inline int32_t edgeq_srdhm(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* Rounding divide by 2^exponent, ties away from zero; 0 <= exponent <= 31. */
static inline int32_t edgeq_rdp(int32_t x, int32_t exponent) {
    int32_t mask = (int32_t)((1u << exponent) - 1u);
    int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> exponent) + ((x & mask) > threshold);
}

/* The left shift goes through unsigned: defined for negative numbers, never overflowing. */
static inline int32_t edgeq_multiply(int32_t acc, int32_t multiplier, int32_t shift) {
    int32_t left = shift > 0 ? shift : 0;
    int32_t right = shift > 0 ? 0 : -shift;
    return edgeq_rdp(edgeq_srdhm((int32_t)((uint32_t)acc << left), multiplier), right);
}

static inline int8_t edgeq_requantize(int32_t acc, int32_t multiplier, int32_t shift,
                                      int32_t zero_point, int32_t low, int32_t high) {
    return (int8_t)edgeq_clamp(edgeq_multiply(acc, multiplier, shift) + zero_point, low, high);
}

/* Leading zeros, 32 for 0, by halving: the same steps whatever x. */
static inline int32_t edgeq_leading_zeros_32(uint32_t x) {
    int32_t length = 0;
    for (int32_t step = 16; step > 0; step >>= 1) {
        int32_t up = (int32_t)((x >> step) != 0) * step;
        length += up;
        x >>= up;
    }
    return 32 - length - (int32_t)x;
}

static inline int32_t edgeq_leading_zeros_64(uint64_t x) {
    uint32_t high = (uint32_t)(x >> 32);
    int32_t none = high == 0;
    return edgeq_leading_zeros_32(none ? (uint32_t)x : high) + 32 * none;
}

static inline uint32_t edgeq_high_multiply(uint32_t a, uint32_t b) {
    return (uint32_t)(((uint64_t)a * b) >> 32);
}

/* 2^30 / (d / 2^32) for d in [2^31, 2^32): a line, then three Newton steps. */
static inline uint32_t edgeq_reciprocal_q30(uint32_t d) {
    uint32_t r = 3031741621u - edgeq_high_multiply(d, 2021161080u);
    for (int32_t i = 0; i < 3; i++) {
        uint32_t error = (1u << 31) - edgeq_high_multiply(d, r);
        r = (uint32_t)(((uint64_t)r * error) >> 30);
    }
    return r;
}

#endif
