/* Lines of a map for depthwise convolutions on ARMv6-M: four channels a cell, as bytes x + 128. */
#ifndef EDGEQ_LINES_V6M_H
#define EDGEQ_LINES_V6M_H

#include <stdbool.h>
#include <stdint.h>

#include "edgeq_layout.h"

/* One axis of a layer; steps in bytes from one position to the next. */
typedef struct {
    int32_t size; /* of the input */
    int32_t kernel;
    int32_t stride;
    int32_t padding; /* before the first */
    int32_t outputs;
    int32_t x_step;
    int32_t y_step;
    int32_t weight_step;
} edgeq_axis;

/* `count` cells a line, of 1 to 4 channels from x on. */
typedef struct {
    const int8_t *x;
    int32_t channels;
    int32_t count;
    int8_t zero;
} edgeq_cells;

static inline int32_t edgeq_threes(int32_t n) {
    int32_t threes = 0;
    for (; n > 0; n -= 3) {
        EDGEQ_STEPS(n); /* compilers would divide */
        threes++;
    }
    return threes;
}

static inline uint8_t *edgeq_put_zeros(const edgeq_cells *c, int32_t n, uint8_t *to) {
    uint32_t *words = (uint32_t *)(void *)to;
    uint32_t zero = (uint8_t)(c->zero + 128) * 0x01010101u;
    for (; n > 0; n--) {
        *words++ = zero;
    }
    return (uint8_t *)words;
}

/* n cells inside the map, `step` bytes apart. */
static inline uint8_t *edgeq_put_inner(const edgeq_cells *c, const int8_t *from, int32_t step,
                                       int32_t n, uint8_t *to) {
    bool whole = c->channels == 4 && (((uint32_t)(uintptr_t)from | (uint32_t)step) & 3u) == 0;
    if (whole) {
        uint32_t *words = (uint32_t *)(void *)to;
        for (; n > 0; n--, from += step) {
            *words++ = *(const uint32_t *)(const void *)from ^ 0x80808080u;
        }
        return (uint8_t *)words;
    }
    for (; n > 0; n--, from += step, to += 4) {
        for (int32_t i = 0; i < c->channels; i++) {
            to[i] = (uint8_t)(from[i] + 128);
        }
    }
    return to;
}

/* The cells of the line at position `at` of the outer axis. */
static inline void edgeq_put_cells(const edgeq_cells *c, const edgeq_axis *outer,
                                   const edgeq_axis *inner, int32_t at, uint8_t *to) {
    bool inside = at >= 0 && at < outer->size;
    int32_t first = inside && inner->padding < c->count ? inner->padding : c->count;
    int32_t most = c->count - first;
    int32_t n = most < inner->size ? most : inner->size;
    to = edgeq_put_zeros(c, first, to);
    if (n > 0) {
        to = edgeq_put_inner(c, c->x + at * outer->x_step, inner->x_step, n, to);
    }
    edgeq_put_zeros(c, most - n, to);
}

#endif
