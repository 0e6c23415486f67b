/* Products of one packed weight row with int8 activations, one function a format:
 *
 *   sum over i < n of (x[i] - zero) * w[i]
 *
 * Narrow formats store w = step * u - offset with u >= 0, so the row costs sum (x - zero) * u and
 * the offset is one product with `total` = sum (x - zero), which all rows share. A row's last,
 * partial group is shifted out code by code. Branches are on `n` alone.
 */
#ifndef EDGEQ_DOT_H
#define EDGEQ_DOT_H

#include <stdint.h>

typedef int32_t edgeq_row_product(const void *row, const int8_t *x, int32_t n, int32_t zero,
                                  int32_t total);

/* Row of `n` weights from group-aligned bytes, rounded up to a word. */
static inline int32_t edgeq_word_bytes(int32_t bytes) {
    return ((bytes + 3) >> 2) << 2;
}

static inline int32_t edgeq_total(const int8_t *x, int32_t n, int32_t zero) {
    int32_t total = 0;
    for (int32_t i = 0; i < n; i++) {
        total += x[i] - zero;
    }
    return total;
}

/* The last n < group codes, `bits` each, low bits first. */
static inline int32_t edgeq_dot_tail(uint32_t codes, uint32_t bits, const int8_t *x, int32_t n,
                                     int32_t zero) {
    uint32_t mask = (1u << bits) - 1u;
    int32_t acc = 0;
    for (int32_t i = 0; i < n; i++) {
        acc += (x[i] - zero) * (int32_t)(codes & mask);
        codes >>= bits;
    }
    return acc;
}

static inline int32_t edgeq_row_bytes_s16(int32_t n) {
    return edgeq_word_bytes(2 * n);
}

static inline int32_t edgeq_dot_s16(const void *row, const int8_t *x, int32_t n, int32_t zero,
                                    int32_t total) {
    const int16_t *w = row;
    int32_t acc = 0;
    (void)total;
    for (; n >= 2; n -= 2, x += 2, w += 2) {
        acc += (x[0] - zero) * w[0] + (x[1] - zero) * w[1];
    }
    return n > 0 ? acc + (x[0] - zero) * w[0] : acc;
}

static inline int32_t edgeq_row_bytes_s8(int32_t n) {
    return edgeq_word_bytes(n);
}

static inline int32_t edgeq_dot_s8(const void *row, const int8_t *x, int32_t n, int32_t zero,
                                   int32_t total) {
    const int8_t *w = row;
    int32_t acc = 0;
    (void)total;
    for (; n >= 4; n -= 4, x += 4, w += 4) {
        acc += (x[0] - zero) * w[0] + (x[1] - zero) * w[1];
        acc += (x[2] - zero) * w[2] + (x[3] - zero) * w[3];
    }
    for (; n > 0; n--) {
        acc += (*x++ - zero) * *w++;
    }
    return acc;
}

static inline int32_t edgeq_row_bytes_s4(int32_t n) {
    return edgeq_word_bytes((n + 1) >> 1);
}

/* Flipping a nibble's sign bit turns two's complement into w + 8. */
static inline int32_t edgeq_dot_s4(const void *row, const int8_t *x, int32_t n, int32_t zero,
                                   int32_t total) {
    const uint8_t *w = row;
    int32_t acc = 0;
    for (; n >= 4; n -= 4, x += 4, w += 2) {
        int32_t a = w[0] ^ 0x88;
        int32_t b = w[1] ^ 0x88;
        acc += (x[0] - zero) * (a & 15) + (x[1] - zero) * (a >> 4);
        acc += (x[2] - zero) * (b & 15) + (x[3] - zero) * (b >> 4);
    }
    if (n >= 2) {
        acc += edgeq_dot_tail(*w++ ^ 0x88u, 4, x, 2, zero);
        x += 2;
    }
    acc += (n & 1) != 0 ? edgeq_dot_tail(*w ^ 0x88u, 4, x, 1, zero) : 0;
    return acc - 8 * total;
}

static inline int32_t edgeq_row_bytes_s3(int32_t n) {
    return edgeq_word_bytes(3 * ((n + 7) >> 3));
}

static inline int32_t edgeq_dot_s3(const void *row, const int8_t *x, int32_t n, int32_t zero,
                                   int32_t total) {
    const uint8_t *w = row;
    int32_t acc = 0;
    for (; n >= 8; n -= 8, x += 8, w += 3) {
        int32_t codes = w[0] | w[1] << 8 | w[2] << 16;
        acc += (x[0] - zero) * (codes & 7) + (x[1] - zero) * ((codes >> 3) & 7);
        acc += (x[2] - zero) * ((codes >> 6) & 7) + (x[3] - zero) * ((codes >> 9) & 7);
        acc += (x[4] - zero) * ((codes >> 12) & 7) + (x[5] - zero) * ((codes >> 15) & 7);
        acc += (x[6] - zero) * ((codes >> 18) & 7) + (x[7] - zero) * (codes >> 21);
    }
    if (n > 0) {
        uint32_t codes = (uint32_t)w[0] | (uint32_t)w[1] << 8 | (uint32_t)w[2] << 16;
        acc += edgeq_dot_tail(codes, 3, x, n, zero);
    }
    return acc - 3 * total;
}

static inline int32_t edgeq_row_bytes_2(int32_t n) {
    return edgeq_word_bytes((n + 3) >> 2);
}

/* sum (x - zero) * u of two-bit codes, four a byte. */
static inline int32_t edgeq_dot_codes_2(const uint8_t *w, const int8_t *x, int32_t n,
                                        int32_t zero) {
    int32_t acc = 0;
    for (; n >= 4; n -= 4, x += 4) {
        int32_t codes = *w++;
        acc += (x[0] - zero) * (codes & 3) + (x[1] - zero) * ((codes >> 2) & 3);
        acc += (x[2] - zero) * ((codes >> 4) & 3) + (x[3] - zero) * (codes >> 6);
    }
    return n > 0 ? acc + edgeq_dot_tail(*w, 2, x, n, zero) : acc;
}

static inline int32_t edgeq_dot_s2(const void *row, const int8_t *x, int32_t n, int32_t zero,
                                   int32_t total) {
    return 2 * edgeq_dot_codes_2(row, x, n, zero) - 3 * total;
}

static inline int32_t edgeq_dot_t2(const void *row, const int8_t *x, int32_t n, int32_t zero,
                                   int32_t total) {
    return edgeq_dot_codes_2(row, x, n, zero) - total;
}

static inline int32_t edgeq_row_bytes_b1(int32_t n) {
    return edgeq_word_bytes((n + 7) >> 3);
}

static inline int32_t edgeq_dot_b1(const void *row, const int8_t *x, int32_t n, int32_t zero,
                                   int32_t total) {
    const uint8_t *w = row;
    int32_t acc = 0;
    for (; n >= 8; n -= 8, x += 8) {
        int32_t codes = *w++;
        acc += (x[0] - zero) * (codes & 1) + (x[1] - zero) * ((codes >> 1) & 1);
        acc += (x[2] - zero) * ((codes >> 2) & 1) + (x[3] - zero) * ((codes >> 3) & 1);
        acc += (x[4] - zero) * ((codes >> 4) & 1) + (x[5] - zero) * ((codes >> 5) & 1);
        acc += (x[6] - zero) * ((codes >> 6) & 1) + (x[7] - zero) * (codes >> 7);
    }
    acc += n > 0 ? edgeq_dot_tail(*w, 1, x, n, zero) : 0;
    return 2 * acc - total;
}

#endif
