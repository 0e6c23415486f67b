/* Depthwise convolutions on DSP cores: strips of the map, for 3x3 windows. */
#ifndef EDGEQ_DEPTHWISE_STRIPS_DSP_H
#define EDGEQ_DEPTHWISE_STRIPS_DSP_H

#include <stdbool.h>

#include "edgeq_depthwise_blocks_dsp.h"
#include "edgeq_depthwise_slide_dsp.h"
#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

/* Bands of a column that hold cells inside the map; of the first one's rows and of the last one's
 * only one may be. */
typedef struct {
    uint32_t fill; /* four cells outside */
    int32_t first; /* 0: a whole band, 1: without its upper row, 2: without its lower one */
    int32_t whole; /* words but for a last band without its lower row */
    int32_t words;
} edgeq_column;

/* A part of the outputs: where it begins, and what of its bands lies inside the map. */
typedef struct {
    edgeq_slide slide;
    int32_t row;
    int32_t column;
    int32_t first;   /* the first cell inside, as bytes of x */
    int32_t columns; /* inside */
    edgeq_column column_of;
    uint32_t *bands;
    uint32_t *inside; /* the first band there */
    int32_t words;    /* of all bands, 0 where every band has a cell inside */
} edgeq_strip;

/* A column's bands; cells at `at`, at + down, ... */
__attribute__((always_inline)) static inline void
edgeq_put_column(const int8_t *at, int32_t down, uint32_t *to, const edgeq_column *column) {
    uint32_t fill = column->fill;
    uint32_t *end = to + column->whole;
    uint32_t *last = to + column->words;
#if EDGEQ_DSP_ASM
    uint32_t a, b, t;
    __asm__ volatile(
        "cmp %[first], #1\n"
        "bhi.w 3f\n"
        "blo.w 1f\n"
        "ldr.w %[b], [%[at]]\n"
        "mov.w %[a], %[fill]\n"
        "add.w %[at], %[at], %[down]\n"
        "b.w 2f\n"
        ".balign 4\n"
        "1:\n"
        "ldr.w %[a], [%[at]]\n"
        "ldr.w %[b], [%[at], %[down]]\n"
        "add.w %[at], %[at], %[down], lsl #1\n"
        "2:\n"
        "pkhbt %[t], %[a], %[b], lsl #16\n"
        "pkhtb %[b], %[b], %[a], asr #16\n"
        "sxtb16 %[a], %[t]\n"
        "str.w %[a], [%[to]], #16\n"
        "sxtb16 %[t], %[t], ror #8\n"
        "sxtb16 %[a], %[b]\n"
        "sxtb16 %[b], %[b], ror #8\n"
        "str %[t], [%[to], #-12]\n"
        "str %[a], [%[to], #-8]\n"
        "str %[b], [%[to], #-4]\n"
        "cmp.w %[to], %[end]\n"
        "bne.w 1b\n"
        "cmp.w %[to], %[last]\n"
        "beq.w 4f\n"
        "3:\n"
        "ldr.w %[a], [%[at]]\n"
        "mov.w %[end], %[last]\n"
        "mov.w %[b], %[fill]\n"
        "b.w 2b\n"
        "4:\n"
        : [at] "+r"(at), [to] "+r"(to), [end] "+r"(end), [a] "=&r"(a), [b] "=&r"(b), [t] "=&r"(t)
        : [down] "r"(down), [fill] "r"(fill), [last] "r"(last), [first] "r"(column->first)
        : "cc", "memory");
#else
    if (column->first == 1) {
        edgeq_pair_cells(fill, edgeq_cell(at, 4), to);
        at += down;
        to += 4;
    }
    for (; to < end; at += 2 * down, to += 4) {
        edgeq_pair_cells(edgeq_cell(at, 4), edgeq_cell(at + down, 4), to);
    }
    if (to < last) {
        edgeq_pair_cells(edgeq_cell(at, 4), fill, to);
    }
#endif
}

/* What lies inside the map; the rest of the strip is filled. */
__attribute__((noinline)) static void edgeq_put_strip(const edgeq_block *b, const edgeq_strip *s) {
    const edgeq_window *w = &b->p->window;
    const int8_t *from = b->x + s->first;
    uint32_t *to = s->inside;
    int32_t down = w->input_width * w->channels;
    const edgeq_column column = s->column_of;
    for (int32_t n = s->columns; n > 0; n--, from += w->channels, to += EDGEQ_STRIP_PITCH) {
        edgeq_put_column(from, down, to, &column);
    }
}

/* Halves of two taps, doubled, for four channels. */
static inline void edgeq_put_pair(uint32_t upper, uint32_t lower, uint32_t *weight) {
    const int32_t next = (int32_t)(sizeof(edgeq_block_channel) / sizeof *weight);
    uint32_t pair[4];
    edgeq_pair_cells(upper, lower, pair);
    weight[0] = (pair[0] << 1) & 0xFFFEFFFFu;
    weight[next] = (pair[1] << 1) & 0xFFFEFFFFu;
    weight[2 * next] = (pair[2] << 1) & 0xFFFEFFFFu;
    weight[3 * next] = (pair[3] << 1) & 0xFFFEFFFFu;
}

/* A block's weights, column by column. */
__attribute__((noinline)) static void edgeq_put_weights(const uint32_t *tap,
                                                        edgeq_block_channel *of) {
    uint32_t *weight = of->weights;
    for (int32_t k = 3; k > 0; k--, tap++, weight += 2) {
        edgeq_put_pair(tap[0], tap[3], weight);
        edgeq_put_pair(tap[3], tap[6], weight + 1);
    }
}

/* A block's outputs of one strip. */
EDGEQ_SMALL static void edgeq_depthwise_strip(edgeq_block *b, const edgeq_strip *s) {
    edgeq_put_strip(b, s);
    edgeq_put_weights(b->taps, b->of);
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
    const int32_t *bias = p->bias + b->first;
    const int32_t *multiplier = p->multiplier + b->first;
    const int8_t *shift = p->shift + b->first;
    edgeq_block_channel *of = b->of;
    b->left = 0;
    for (const int32_t *end = bias + b->channels; bias < end; bias++, of++) {
        int32_t left = *shift++;
        int32_t right = left < 0 ? left : -1;
        int32_t most = (int32_t)(1u << (32 + right)); /* 2^31 is negative */
        int32_t reach = (*bias < 0 ? -*bias : *bias) + EDGEQ_STRIP_REACH;
        exact &= reach < most;
        of->bias = 2 * *bias;
        of->multiplier = *multiplier++;
        of->divisor = (int32_t)((uint32_t)most + 1u);
        of->weights[EDGEQ_LEFT] = left < 0 ? 0 : (uint32_t)left;
        of->weights[EDGEQ_DOUBLED] = left >= 0;
        b->left |= left >= 0;
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
    int32_t inside = edgeq_clamp(w->input_height - row, top, height) - top; /* rows */
    int32_t upper = top & 1;
    s->columns = edgeq_clamp(w->input_width - column, left, width) - left;
    s->column_of.fill = (uint32_t)(uint8_t)p->input_zero_point * 0x01010101u;
    s->column_of.whole = 4 * (upper + ((inside - upper) >> 1));
    s->column_of.words = 4 * ((inside + upper + 1) >> 1);
    s->column_of.first = s->column_of.whole == 0 ? 2 : upper;
    s->words = (width - 1) * EDGEQ_STRIP_PITCH + 2 * height;
    if (s->columns == width && s->column_of.words == 2 * height) {
        s->words = 0;
    }
    if (inside == 0) {
        s->columns = 0;
    }
    s->first = ((row + top) * w->input_width + column + left) * w->channels;
    s->inside = s->bands + left * EDGEQ_STRIP_PITCH + (top >> 1) * 4;
}

#endif
