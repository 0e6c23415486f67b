/* Depthwise convolutions on DSP cores: strips of the map, for 3x3 windows. */
#ifndef EDGEQ_DEPTHWISE_STRIPS_DSP_H
#define EDGEQ_DEPTHWISE_STRIPS_DSP_H

#include <stdbool.h>

#include "edgeq_depthwise_blocks_dsp.h"
#include "edgeq_depthwise_slide_dsp.h"
#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

/* What of a strip's bands lies inside the map. Of a column's first band only the lower row may, of
 * its last one only the upper one. The assembly knows the order. */
typedef struct {
    int32_t down;   /* bytes of x from row to row */
    int32_t across; /* from column to column */
    uint32_t *to;   /* the first band */
    uint32_t *end;  /* where one column more would begin */
    uint32_t fill;  /* four cells outside */
    int32_t upper;  /* 1: the first band's upper row is outside */
    int32_t whole;  /* bytes of a column, but for a last band without its lower row */
    int32_t bytes;
} edgeq_inside;

/* A part of the outputs: where it begins, and what of its bands lies inside the map. */
typedef struct {
    edgeq_slide slide;
    edgeq_inside inside;
    int32_t row;
    int32_t column;
    int32_t first_y; /* of its first output */
    int32_t first;   /* of the first cell inside, as bytes of x */
    int32_t words;   /* of all bands, 0 where every band has a cell inside */
    uint32_t *bands;
} edgeq_strip;

/* What lies inside the map; the rest of the strip is filled. */
#if EDGEQ_DSP_ASM
EDGEQ_AT(edgeq_inside, down, 0);
EDGEQ_AT(edgeq_inside, across, 4);
EDGEQ_AT(edgeq_inside, to, 8);
EDGEQ_AT(edgeq_inside, end, 12);
EDGEQ_AT(edgeq_inside, fill, 16);
EDGEQ_AT(edgeq_inside, upper, 20);
EDGEQ_AT(edgeq_inside, whole, 24);
EDGEQ_AT(edgeq_inside, bytes, 28);

/* r12 and r8 go from column to column, r6 and r7 down one: two bands a turn, a single one in half a
 * turn. r9 is where no two are left, r10 the end. */
__attribute__((naked, noinline)) static void edgeq_put_strip(const int8_t *at
                                                             __attribute__((unused)),
                                                             const edgeq_inside *of
                                                             __attribute__((unused))) {
    /* clang-format off */
    __asm__(".macro band a, b, t, at\n"
            "pkhbt \\t, \\a, \\b, lsl #16\n"
            "pkhtb \\b, \\b, \\a, asr #16\n"
            "sxtb16 \\a, \\t\n"
            "sxtb16 \\t, \\t, ror #8\n"
            "str \\a, [r7, #\\at]\n"
            "str \\t, [r7, #\\at + 4]\n"
            "sxtb16 \\a, \\b\n"
            "sxtb16 \\b, \\b, ror #8\n"
            "str \\a, [r7, #\\at + 8]\n"
            "str \\b, [r7, #\\at + 12]\n"
            ".endm\n"
            "push {r4-r11, lr}\n"
            "mov r12, r0\n"
            "mov lr, r1\n"
            "ldr.w r8, [lr, #8]\n"
            "ldr.w r1, [lr]\n"
            "add.w r2, r1, r1, lsl #1\n"
            "b 8f\n"
            "1:\n" /* a column */
            "ldr.w r9, [lr, #24]\n"
            "ldr.w r10, [lr, #28]\n"
            "ldr.w r0, [lr, #16]\n"
            "ldr.w r4, [lr, #20]\n"
            "mov r6, r12\n"
            "mov r7, r8\n"
            "add r10, r8\n"
            "add r9, r8\n"
            "sub.w r9, r9, #16\n"
            "cbz r4, 3f\n"
            "ldr r3, [r6]\n"
            "add r6, r1\n"
            "b 7f\n"
            ".balign 4\n"
            "2:\n"
            "ldr r4, [r6]\n"
            "ldr r5, [r6, r1]\n"
            "ldr.w r0, [r6, r1, lsl #1]\n"
            "ldr r3, [r6, r2]\n"
            "add.w r6, r6, r1, lsl #2\n"
            "band r4, r5, r11, 0\n"
            "5:\n"
            "band r0, r3, r4, 16\n"
            "adds r7, #32\n"
            "3:\n"
            "cmp r7, r9\n"
            "blo 2b\n"
            "bne 6f\n"
            "ldr r0, [r6]\n"
            "ldr r3, [r6, r1]\n"
            "add.w r6, r6, r1, lsl #1\n"
            "7:\n"
            "subs r7, #16\n"
            "b 5b\n"
            "6:\n"
            "cmp r7, r10\n"
            "beq 9f\n"
            "ldr r0, [r6]\n"
            "ldr.w r3, [lr, #16]\n"
            "b 7b\n"
            "9:\n"
            "ldr.w r4, [lr, #4]\n"
            "add.w r8, r8, #272\n"
            "add r12, r4\n"
            "8:\n"
            "ldr.w r4, [lr, #12]\n"
            "cmp r8, r4\n"
            "bne 1b\n"
            "pop {r4-r11, pc}\n"
            ".purgem band\n");
    /* clang-format on */
}
EDGEQ_HOLDS(EDGEQ_STRIP_PITCH == 68);
#else
static void edgeq_put_strip(const int8_t *at, const edgeq_inside *of) {
    for (uint32_t *to = of->to; to != of->end; to += EDGEQ_STRIP_PITCH, at += of->across) {
        const int8_t *from = at;
        uint32_t *band = to;
        if (of->upper != 0) {
            edgeq_pair_cells(of->fill, edgeq_cell(from, 4), band);
            from += of->down;
            band += 4;
        }
        for (; band < to + of->whole / 4; from += 2 * of->down, band += 4) {
            edgeq_pair_cells(edgeq_cell(from, 4), edgeq_cell(from + of->down, 4), band);
        }
        if (band < to + of->bytes / 4) {
            edgeq_pair_cells(edgeq_cell(from, 4), of->fill, band);
        }
    }
}
#endif

/* Both halves twice. */
static inline uint32_t edgeq_twice(uint32_t halves) {
#if EDGEQ_DSP_ASM
    uint32_t result;
    __asm__("sadd16 %0, %1, %1" : "=r"(result) : "r"(halves));
    return result;
#else
    return (halves << 1) & 0xFFFEFFFFu;
#endif
}

/* Halves of two taps, doubled, for four channels. */
static inline void edgeq_put_pair(uint32_t upper, uint32_t lower, uint32_t *weight) {
    const int32_t next = (int32_t)(sizeof(edgeq_block_channel) / sizeof *weight);
    uint32_t pair[4];
    edgeq_pair_cells(upper, lower, pair);
    weight[0] = edgeq_twice(pair[0]);
    weight[next] = edgeq_twice(pair[1]);
    weight[2 * next] = edgeq_twice(pair[2]);
    weight[3 * next] = edgeq_twice(pair[3]);
}

/* A block's weights: (w0, w1) of the three columns, then (w1, w2). */
static inline void edgeq_put_weights(const uint32_t *tap, edgeq_block_channel *of) {
    uint32_t *weight = of->weights;
    for (int32_t i = 0; i < 6; i++, weight += 2) {
        if (i == 3) {
            weight -= 5;
        }
        edgeq_put_pair(tap[i], tap[i + 3], weight);
    }
}

/* A block's outputs of one strip. */
EDGEQ_SMALL static void edgeq_depthwise_strip(edgeq_block *b, edgeq_strip *s) {
    EDGEQ_IN_MEMORY(s);
    edgeq_put_strip(b->x + s->first, &s->inside);
    edgeq_put_weights(b->taps, b->of);
    EDGEQ_IN_MEMORY(b);
    edgeq_slide_block(&s->slide, b->of, b->of + 4, s->bands, b->y + s->first_y);
}

/* Block number `block`; its taps are in the stream or in `taps`. Answers whether strips round all
 * its channels exactly. */
EDGEQ_SMALL static bool edgeq_take_block(edgeq_block *b, int32_t block, uint32_t *taps) {
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
    const int32_t *end = bias + b->channels;
    do {
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
        of++;
    } while (++bias < end);
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
    int32_t between = 4 * EDGEQ_STRIP_PITCH * w->stride_width;
    rows = edgeq_clamp(w->output_height - s->row, 0, rows);
    columns = edgeq_clamp(w->output_width - s->column, 0, columns) - 1;
    int32_t lines = 1 + (w->stride_height == 1); /* of outputs in a turn */
    int32_t turns = (rows + lines - 1) >> (lines - 1);
    int32_t height = 2 * turns + 2;
    int32_t width = columns * w->stride_width + 3;
    int32_t row_step = w->output_width * w->channels;
    int32_t last_turn = (turns - 1) * lines * row_step;
    slide->zero_point = p->output_zero_point;
    slide->row_step = row_step;
    slide->step = w->channels - last_turn;
    slide->last_step = ((lines - 1) & ~rows) * row_step;
    slide->length = 8 * height - 8 + 4 * lines;
    slide->advance = between - 8 * height;
    slide->span = between * columns + 8 * height;
    slide->rewind = 1 - columns * w->channels - last_turn;
#if !EDGEQ_DSP_ASM
    slide->columns = columns + 1;
    slide->turns = turns;
    slide->between = between / 4;
#endif
    edgeq_inside *in = &s->inside;
    int32_t left = edgeq_clamp(-column, 0, width);
    int32_t top = edgeq_clamp(-row, 0, height);
    int32_t cells = edgeq_clamp(w->input_height - row, top, height) - top; /* rows */
    int32_t inside = edgeq_clamp(w->input_width - column, left, width) - left;
    in->down = w->input_width * w->channels;
    in->across = w->channels;
    in->fill = (uint32_t)(uint8_t)p->input_zero_point * 0x01010101u;
    in->upper = top & 1;
    in->whole = 16 * (in->upper + ((cells - in->upper) >> 1));
    in->bytes = 16 * ((cells + in->upper + 1) >> 1);
    s->words = (width - 1) * EDGEQ_STRIP_PITCH + 2 * height;
    if (inside == width && in->bytes == 8 * height) {
        s->words = 0;
    }
    if (cells == 0) {
        inside = 0;
    }
    s->first = (row + top) * in->down + (column + left) * w->channels;
    s->first_y = s->row * row_step + s->column * w->channels;
    in->to = s->bands + left * EDGEQ_STRIP_PITCH + (top >> 1) * 4;
    in->end = in->to + inside * EDGEQ_STRIP_PITCH;
}

#endif
