#ifndef EDGEQ_SCALE_H
#define EDGEQ_SCALE_H

#include <stdbool.h>
#include <stdint.h>

/* Real numbers without an FPU: mantissa * 2^exponent. A scale has a mantissa below 2^24. */

#define SCALE_MOST ((int64_t)1 << 60)

/* Whether a * 2^a_exponent <= b * 2^b_exponent; |a| is 0 or 2^23 to 2^33, |b| below 2^24. */
static inline bool scale_at_most(int64_t a, int32_t a_exponent, int64_t b, int32_t b_exponent) {
    int32_t apart = a_exponent - b_exponent;
    if ((a < 0) != (b < 0)) {
        return a < 0;
    }
    if (apart >= 0) {
        return a * ((int64_t)1 << (apart < 29 ? apart : 29)) <= b;
    }
    return a <= b * ((int64_t)1 << (apart > -38 ? -apart : 38));
}

/* mantissa * 2^exponent times `unit` (below 2^30), rounded half up, at most 2^60; mantissa < 2^32.
 */
static inline int64_t scale_in_units(uint64_t mantissa, int32_t exponent, uint32_t unit) {
    uint64_t value = mantissa * unit;
    if (exponent < 0) {
        uint32_t down = (uint32_t)-exponent;
        value = down > 63u ? 0u : (value + ((uint64_t)1 << (down - 1u))) >> down;
    } else if (value >> (exponent < 60 ? 60 - exponent : 0) != 0u) {
        value = (uint64_t)SCALE_MOST;
    } else {
        value <<= exponent < 60 ? exponent : 0;
    }
    return value < (uint64_t)SCALE_MOST ? (int64_t)value : SCALE_MOST;
}

#endif
