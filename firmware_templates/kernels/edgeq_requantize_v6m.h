/* edgeq_requantize.h on a core that multiplies 32 by 32 bits to 32: four products of halves, and
 * no branch but on the shift, a constant of the layer. */
#ifndef EDGEQ_REQUANTIZE_V6M_H
#define EDGEQ_REQUANTIZE_V6M_H

#include <stdint.h>

#include "edgeq_requantize.h"

/* floor((a * b + 2^30) / 2^31), b >= 0: bits below 2^16 of the product carry nothing. */
static inline int32_t edgeq_srdhm_v6m(int32_t a, int32_t b) {
    uint32_t a_low = (uint32_t)a & 0xFFFFu;
    uint32_t b_low = (uint32_t)b & 0xFFFFu;
    int32_t a_high = a >> 16;
    int32_t b_high = b >> 16;
    int32_t middle = a_high * (int32_t)b_low + (int32_t)((a_low * b_low) >> 16);
    uint32_t lower = a_low * (uint32_t)b_high + ((uint32_t)middle & 0xFFFFu);
    uint32_t upper = (uint32_t)(a_high * b_high + (middle >> 16));
    return (int32_t)(2 * upper + ((lower + (1u << 14)) >> 15));
}

/* edgeq_rdp, 1 <= exponent and |x| < 2^31 - 1, as of every product with a multiplier. */
static inline int32_t edgeq_rdp_v6m(int32_t x, int32_t exponent) {
    int32_t twice = (x + (x >> 31)) >> (exponent - 1);
    return (twice + 1) >> 1;
}

/* Masks of signs in place of comparisons, for which compilers branch. */
static inline int32_t edgeq_clamp_v6m(int32_t x, int32_t low, int32_t high) {
    int32_t above = x - low;
    above &= ~(above >> 31);
    int32_t below = above - (high - low);
    below &= below >> 31;
    return below + high;
}

static inline int8_t edgeq_requantize_v6m(int32_t acc, int32_t multiplier, int32_t shift,
                                          int32_t zero_point, int32_t low, int32_t high) {
    int32_t x;
    if (shift < 0) {
        x = edgeq_rdp_v6m(edgeq_srdhm_v6m(acc, multiplier), -shift);
    } else {
        x = edgeq_srdhm_v6m((int32_t)((uint32_t)acc << shift), multiplier);
    }
    return (int8_t)edgeq_clamp_v6m(x + zero_point, low, high);
}

#endif
