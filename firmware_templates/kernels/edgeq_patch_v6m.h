/* Patches of two pixels on ARMv6-M: bytes x + 128, four columns of one, then four of the other. */
#ifndef EDGEQ_PATCH_V6M_H
#define EDGEQ_PATCH_V6M_H

#include <stdbool.h>

#include "edgeq_kernels.h"

#define EDGEQ_V6M_FLIPPED 0x80808080u

/* n columns that begin anywhere; returns where the next go. */
static inline uint8_t *edgeq_put_columns(uint8_t *to, const int8_t *from, int32_t n) {
    while (n > 0) {
        if (((uintptr_t)to & 3u) == 0 && n >= 4) {
            uint32_t low = (uint8_t)from[0] | (uint32_t)(uint8_t)from[1] << 8;
            uint32_t high = (uint8_t)from[2] | (uint32_t)(uint8_t)from[3] << 8;
            *(uint32_t *)(void *)to = (low | high << 16) ^ EDGEQ_V6M_FLIPPED;
            to += 8;
            from += 4;
            n -= 4;
        } else {
            *to++ = (uint8_t)(*from++ + 128);
            to += ((uintptr_t)to & 3u) == 0 ? 4 : 0;
            n--;
        }
    }
    return to;
}

static inline uint8_t *edgeq_put_same(uint8_t *to, uint8_t value, int32_t n) {
    for (; n > 0; n--) {
        *to++ = value;
        to += ((uintptr_t)to & 3u) == 0 ? 4 : 0;
    }
    return to;
}

/* n words of four columns. */
static inline uint8_t *edgeq_put_fours(uint8_t *to, const int8_t *from, int32_t n) {
    const uint32_t *words = (const uint32_t *)(const void *)from;
    uint32_t *target = (uint32_t *)(void *)to;
    for (; n > 0; n--, target += 2) {
        *target = *words++ ^ EDGEQ_V6M_FLIPPED;
    }
    return (uint8_t *)target;
}

static inline int32_t edgeq_patch_columns(const edgeq_window *w) {
    return w->kernel_height * w->kernel_width * w->channels;
}

/* The patch of output pixel (i, j); cells outside the map hold the input's zero point. */
static inline void edgeq_put_patch(const edgeq_conv_2d_params *p, const int8_t *x, int32_t i,
                                   int32_t j, uint8_t *to) {
    const edgeq_window *w = &p->window;
    uint8_t zero = (uint8_t)(p->input_zero_point + 128);
    int32_t top = i * w->stride_height - w->padding_top;
    int32_t left = j * w->stride_width - w->padding_left;
    int32_t last = w->input_width - left; /* cells of a row of the window up to the map's end */
    int32_t first = left < 0 ? -left : 0;
    first = first < w->kernel_width ? first : w->kernel_width;
    last = last < w->kernel_width ? last : w->kernel_width;
    last = last < first ? first : last;
    bool fours = (((uint32_t)w->channels | (uint32_t)(uintptr_t)x) & 3u) == 0;
    for (int32_t row = top; row < top + w->kernel_height; row++) {
        bool inside = row >= 0 && row < w->input_height;
        int32_t begin = inside ? first : w->kernel_width;
        int32_t inner = inside ? last - first : 0;
        int32_t behind = inside ? w->kernel_width - last : 0;
        const int8_t *from = x;
        if (inner > 0) {
            from += (row * w->input_width + left + first) * w->channels;
        }
        to = edgeq_put_same(to, zero, begin * w->channels);
        if (fours) {
            to = edgeq_put_fours(to, from, (inner * w->channels) >> 2);
        } else {
            to = edgeq_put_columns(to, from, inner * w->channels);
        }
        to = edgeq_put_same(to, zero, behind * w->channels);
    }
}

/* Sum of the activations of one pixel. */
static inline int32_t edgeq_patch_total(const uint8_t *patch, int32_t bytes) {
    const uint32_t *words = (const uint32_t *)(const void *)patch;
    int32_t total = 0;
    for (int32_t i = 0; i < bytes; i += 8, words += 2) {
        uint32_t halves = (*words & 0xFF00FFu) + (*words >> 8 & 0xFF00FFu);
        total += (int32_t)((halves & 0xFFFFu) + (halves >> 16));
    }
    return total;
}

#endif
