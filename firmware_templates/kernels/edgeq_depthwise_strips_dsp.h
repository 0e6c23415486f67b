/* Depthwise convolutions on DSP cores: strips of the map, for 3x3 windows. */
#ifndef EDGEQ_DEPTHWISE_STRIPS_DSP_H
#define EDGEQ_DEPTHWISE_STRIPS_DSP_H

#include <stdbool.h>

#include "edgeq_depthwise_blocks_dsp.h"
#include "edgeq_depthwise_slide_dsp.h"
#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

/* Columns of n bands each: cells at `from`, from + down, ... */
__attribute__((noinline)) static void edgeq_put_bands(const int8_t *from, int32_t down,
                                                      int32_t across, int32_t columns, int32_t n,
                                                      uint32_t *bands) {
    for (; columns > 0; columns--, from += across, bands += EDGEQ_STRIP_PITCH) {
        const int8_t *at = from;
        uint32_t *to = bands;
#if EDGEQ_DSP_ASM
        uint32_t *end = to + 4 * n;
        uint32_t a, b, low, high, t;
        __asm__ volatile(".balign 4\n"
                         "1:\n"
                         "ldr.w %[a], [%[at]]\n"
                         "ldr.w %[b], [%[at], %[down]]\n"
                         "add.w %[at], %[at], %[down], lsl #1\n"
                         "sxtb16 %[low], %[a]\n"
                         "sxtb16 %[high], %[b]\n"
                         "sxtb16 %[a], %[a], ror #8\n"
                         "sxtb16 %[b], %[b], ror #8\n"
                         "pkhbt %[t], %[low], %[high], lsl #16\n"
                         "pkhtb %[high], %[high], %[low], asr #16\n"
                         "str.w %[t], [%[to]], #16\n"
                         "pkhbt %[low], %[a], %[b], lsl #16\n"
                         "pkhtb %[b], %[b], %[a], asr #16\n"
                         "str %[low], [%[to], #-12]\n"
                         "str %[high], [%[to], #-8]\n"
                         "str %[b], [%[to], #-4]\n"
                         "cmp.w %[to], %[end]\n"
                         "bne.w 1b\n"
                         : [at] "+r"(at), [to] "+r"(to), [a] "=&r"(a), [b] "=&r"(b),
                           [low] "=&r"(low), [high] "=&r"(high), [t] "=&r"(t)
                         : [down] "r"(down), [end] "r"(end)
                         : "cc", "memory");
#else
        for (int32_t i = 0; i < n; i++, at += 2 * down, to += 4) {
            edgeq_pair_cells(edgeq_cell(at, 4), edgeq_cell(at + down, 4), to);
        }
#endif
    }
}

/* A part of the outputs: where it begins, and what of its bands lies inside the map. */
typedef struct {
    edgeq_slide slide;
    int32_t row;
    int32_t column;
    int32_t first; /* the first cell inside, as bytes of x */
    int32_t rows;  /* inside */
    int32_t columns;
    int32_t upper; /* 1: the first band's upper row is outside */
    uint32_t *bands;
    uint32_t *inside; /* the first band there */
    int32_t words;    /* of all bands */
} edgeq_strip;

/* Bands of a single row, the other half (0: upper, 1: lower) filled. */
EDGEQ_SMALL static void edgeq_put_edge(const edgeq_block *b, const edgeq_strip *s,
                                       const int8_t *from, uint32_t *bands, int32_t half) {
    int16_t fill = (int16_t)b->p->input_zero_point;
    char *at = (char *)bands + 2 * half;
    edgeq_put_bands(from, 0, b->p->window.channels, s->columns, 1, bands);
    for (int32_t j = s->columns; j > 0; j--, at += 4 * EDGEQ_STRIP_PITCH) {
        __builtin_memcpy(at, &fill, 2);
        __builtin_memcpy(at + 4, &fill, 2);
        __builtin_memcpy(at + 8, &fill, 2);
        __builtin_memcpy(at + 12, &fill, 2);
    }
}

/* What lies inside the map; the rest of the strip is filled. */
static inline void edgeq_put_strip(const edgeq_block *b, const edgeq_strip *s) {
    int32_t line = b->p->window.input_width * b->p->window.channels;
    const int8_t *from = b->x + s->first;
    uint32_t *to = s->inside;
    int32_t n = s->rows;
    if (s->columns <= 0) {
        return;
    }
    if (s->upper != 0 && n > 0) {
        edgeq_put_edge(b, s, from, to, 0);
        from += line;
        to += 4;
        n--;
    }
    if (n > 1) {
        edgeq_put_bands(from, line, b->p->window.channels, s->columns, n >> 1, to);
    }
    if ((n & 1) != 0) {
        edgeq_put_edge(b, s, from + (n - 1) * line, to + 2 * (n - 1), 1);
    }
}

/* Bytes 0 and 2 as halves, doubled. */
static inline uint32_t edgeq_twice_even(uint32_t x) {
    return (edgeq_sxtb16(x) << 1) & 0xFFFEFFFFu;
}

static inline uint32_t edgeq_twice_odd(uint32_t x) {
    return (edgeq_sxtb16_ror8(x) << 1) & 0xFFFEFFFFu;
}

/* A block's outputs of one strip. */
EDGEQ_SMALL static void edgeq_depthwise_strip(edgeq_block *b, const edgeq_strip *s) {
    edgeq_put_strip(b, s);
    for (int32_t k = 0; k < 6; k++) { /* taps (0, 3), (3, 6), (1, 4), ... */
        const uint32_t *tap = b->taps + (k >> 1) + 3 * (k & 1);
        uint32_t even[2] = {edgeq_twice_even(tap[0]), edgeq_twice_even(tap[3])};
        uint32_t odd[2] = {edgeq_twice_odd(tap[0]), edgeq_twice_odd(tap[3])};
        b->of[0].weights[k] = edgeq_low_halves(even[0], even[1]);
        b->of[1].weights[k] = edgeq_low_halves(odd[0], odd[1]);
        b->of[2].weights[k] = edgeq_high_halves(even[0], even[1]);
        b->of[3].weights[k] = edgeq_high_halves(odd[0], odd[1]);
    }
    edgeq_slide_block(&s->slide, b->of, b->of + 4, s->bands,
                      b->y + s->row * s->slide.row_step + s->column * s->slide.step);
}

/* Block number `block`; its taps are in the stream or in `taps`. Answers whether strips round all
 * its channels exactly. */
static inline bool edgeq_take_block(edgeq_block *b, int32_t block, uint32_t *taps) {
    const edgeq_conv_2d_params *p = b->p;
    const edgeq_window *w = &p->window;
    int32_t pairs = (w->kernel_height * w->kernel_width + 1) >> 1;
    bool exact = true;
    b->taps = edgeq_block_taps(p->weight, block, pairs, taps);
    b->first = edgeq_clamp(w->channels - 4, 0, 4 * block);
    for (int32_t c = 0; c < b->channels; c++) {
        int32_t bias = p->bias[b->first + c];
        int32_t reach = (bias < 0 ? -bias : bias) + EDGEQ_STRIP_REACH;
        int32_t bits = 32 + p->shift[b->first + c];
        exact = exact && bits < 31 && reach >> bits == 0;
        b->of[c].bias = 2 * bias;
        b->of[c].multiplier = p->multiplier[b->first + c];
        b->of[c].divisor = (int32_t)((1u << bits) + 1u);
    }
    return exact;
}

/* How many parts of `size` hold n. */
EDGEQ_SMALL static int32_t edgeq_parts(int32_t n, int32_t size) {
    int32_t parts = 0;
    for (; n > 0; n -= size) {
        parts++;
        EDGEQ_STEPS(parts);
    }
    return parts;
}

/* Outputs a strip in one direction: equal parts of at most `most`. */
EDGEQ_SMALL static int32_t edgeq_part(int32_t outputs, int32_t most) {
    return edgeq_parts(outputs, edgeq_parts(outputs, most));
}

/* The strip of at most `rows` times `columns` outputs that begins at s. */
EDGEQ_SMALL static void edgeq_strip_of(const edgeq_conv_2d_params *p, edgeq_strip *s, int32_t rows,
                                       int32_t columns) {
    const edgeq_window *w = &p->window;
    edgeq_slide *slide = &s->slide;
    int32_t row = s->row * w->stride_height - w->padding_top;
    int32_t column = s->column * w->stride_width - w->padding_left;
    int32_t between = EDGEQ_STRIP_PITCH * w->stride_width;
    rows = edgeq_clamp(w->output_height - s->row, 0, rows);
    columns = edgeq_clamp(w->output_width - s->column, 0, columns) - 1;
    bool one = w->stride_height == 1;
    int32_t height = one ? ((rows + 1) & ~1) + 2 : 2 * rows + 2;
    int32_t width = columns * w->stride_width + 3;
    int32_t left = edgeq_clamp(-column, 0, width);
    int32_t top = edgeq_clamp(-row, 0, height);
    slide->zero_point = p->output_zero_point;
    slide->row_step = w->output_width * w->channels;
    slide->step = w->channels;
    slide->last_step = one && (rows & 1) == 0 ? slide->row_step : 0;
    slide->length = one ? 8 * height : 8 * height - 4;
    slide->advance = 4 * between - 8 * height;
    slide->span = 4 * between * columns + 8 * height;
    slide->rewind = 1 - columns * slide->step;
#if !EDGEQ_DSP_ASM
    slide->columns = columns + 1;
    slide->turns = (height >> 1) - 1;
    slide->between = between;
#endif
    s->words = (width - 1) * EDGEQ_STRIP_PITCH + 2 * height;
    s->rows = edgeq_clamp(w->input_height - row, top, height) - top;
    s->columns = edgeq_clamp(w->input_width - column, left, width) - left;
    s->upper = top & 1;
    s->first = ((row + top) * w->input_width + column + left) * w->channels;
    s->inside = s->bands + left * EDGEQ_STRIP_PITCH + (top >> 1) * 4;
}

#endif
