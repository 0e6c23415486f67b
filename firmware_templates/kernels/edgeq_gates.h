/* What recurrent kernels share: sums in Q3.12, their sigmoid and tanh in Q0.15 from a table of
 * 65536 sigmoid(i / 24). No branch depends on a value. */
#ifndef EDGEQ_GATES_H
#define EDGEQ_GATES_H

#include "edgeq_requantize.h"

static inline int32_t edgeq_gate_half(int32_t x) {
    return edgeq_clamp(x, -32768, 32767);
}

/* |x| in `bits` fraction bits on a line between two entries of the table, at most its end. */
static inline int32_t edgeq_gate_line(const uint16_t *table, int32_t x, int32_t bits) {
    const int32_t sign = x >> 31;
    const int32_t more = (x ^ sign) - sign - (255 << bits);
    const int32_t apart = (more & (more >> 31)) + (255 << bits);
    const int32_t at = apart >> bits;
    const int32_t low = table[at];
    return (low << bits) + (apart - (at << bits)) * (table[at + 1] - low);
}

static inline int32_t edgeq_gate_sigmoid(const uint16_t *table, int32_t x) {
    const int32_t line = edgeq_gate_line(table, 3 * x, 9);
    const int32_t sign = x >> 31; /* then 2^25 - line, and a tie is rounded down */
    return ((line ^ sign) - sign + (sign & ((1 << 25) - 1)) + (1 << 9)) >> 10;
}

/* Of x in steps of 2^power. */
static inline int32_t edgeq_gate_tanh(const uint16_t *table, int32_t x, int32_t power) {
    const int32_t left = edgeq_clamp(power + 12, 0, 3);
    const int32_t right = edgeq_clamp(-12 - power, 0, 3);
    const int32_t scaled = (x * (3 << left) + ((1 << right) >> 1)) >> right;
    const int32_t line = edgeq_gate_line(table, scaled, 8);
    const int32_t away = line - (1 << 23);
    return ((away ^ (scaled >> 31)) + (1 << 7)) >> 8;
}

/* Rows of weights that are summed at once. */
enum { EDGEQ_GATE_ROWS = 4 };

static inline int32_t edgeq_gate_count(int32_t left) {
    return left < EDGEQ_GATE_ROWS ? left : EDGEQ_GATE_ROWS;
}

/* Sums to Q3.12, saturated. */
static inline void edgeq_gate_scale(int32_t multiplier, int32_t shift, int32_t count,
                                    int32_t *sums) {
    for (const int32_t *end = sums + count; sums != end; sums++) {
        *sums = edgeq_gate_half(edgeq_multiply(*sums, multiplier, shift));
    }
}

static inline int32_t edgeq_gate_dot(const int8_t *x, int32_t zero_point, const int8_t *weight,
                                     int32_t n, int32_t acc) {
    for (int32_t i = 0; i < n; i++) {
        acc += (x[i] - zero_point) * weight[i];
    }
    return acc;
}

#endif
