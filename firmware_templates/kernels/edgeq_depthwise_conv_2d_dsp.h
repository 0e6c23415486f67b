/* Depthwise convolutions on DSP cores: four channels at a time, two taps a multiply.
 *
 * A block is four neighbouring channels, a word of every cell of the map. A cell outside the map
 * holds the input zero point. |x * w| <= 128 * 127: no accumulator leaves int32 before 131,072
 * taps.
 */
#ifndef EDGEQ_DEPTHWISE_CONV_2D_DSP_H
#define EDGEQ_DEPTHWISE_CONV_2D_DSP_H

#include <stdbool.h>

#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

/* Taps of block number `block`, a word a tap: the block's channels in its bytes, the first lowest;
 * 2 * pairs words, in the stream itself or written to `to`. */
static const uint32_t *edgeq_block_taps(const uint32_t *stream, int32_t block, int32_t pairs,
                                        uint32_t *to);

/* Halves (a.low, b.low). */
static inline uint32_t edgeq_low_halves(uint32_t a, uint32_t b) {
#if EDGEQ_DSP_ASM
    uint32_t result;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return (a & 0xFFFFu) | b << 16;
#endif
}

/* Halves (a.high, b.high). */
static inline uint32_t edgeq_high_halves(uint32_t a, uint32_t b) {
#if EDGEQ_DSP_ASM
    uint32_t result;
    __asm__("pkhtb %0, %2, %1, asr #16" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return a >> 16 | (b & 0xFFFF0000u);
#endif
}

/* Two cells of four channels: channel c's bytes as the halves of to[c]. */
static inline void edgeq_pair_cells(uint32_t a, uint32_t b, uint32_t *to) {
    uint32_t even[2] = {edgeq_sxtb16(a), edgeq_sxtb16(b)};
    uint32_t odd[2] = {edgeq_sxtb16_ror8(a), edgeq_sxtb16_ror8(b)};
    to[0] = edgeq_low_halves(even[0], even[1]);
    to[1] = edgeq_low_halves(odd[0], odd[1]);
    to[2] = edgeq_high_halves(even[0], even[1]);
    to[3] = edgeq_high_halves(odd[0], odd[1]);
}

/* One channel. The assembly knows the order. */
typedef struct {
    int32_t bias; /* doubled */
    int32_t multiplier;
    int32_t divisor;     /* 2^(32 - s) + 1 for a right shift of s, 1..31 */
    uint32_t weights[6]; /* of each column of a 3x3 window (w0, w1), (w1, w2), doubled */
} edgeq_block_channel;
EDGEQ_AT(edgeq_block_channel, bias, 0);
EDGEQ_AT(edgeq_block_channel, multiplier, 4);
EDGEQ_AT(edgeq_block_channel, divisor, 8);
EDGEQ_AT(edgeq_block_channel, weights, 12);
EDGEQ_HOLDS(sizeof(edgeq_block_channel) == 36);

/* Small rather than fast: what runs once a layer or a strip. */
#if defined(__clang__)
#define EDGEQ_SMALL __attribute__((noinline, minsize))
#else
#define EDGEQ_SMALL __attribute__((noinline, cold))
#endif

typedef struct {
    const edgeq_conv_2d_params *p;
    const uint32_t *taps;
    const int8_t *x; /* of its first channel */
    int8_t *y;
    int32_t first;    /* its first channel */
    int32_t channels; /* 4, or all there are */
    edgeq_block_channel of[4];
} edgeq_block;

/* A cell's channels, the first in the low byte. */
EDGEQ_SMALL static uint32_t edgeq_cell(const int8_t *at, int32_t channels) {
    uint32_t word = 0;
    for (at += channels; channels > 0; channels--) {
        word = word << 8 | (uint8_t)*--at;
    }
    return word;
}

/* Four words a turn. */
__attribute__((noinline)) static void edgeq_fill(uint32_t *to, int32_t words, uint32_t fill) {
    for (; words > 0; words -= 4, to += 4) {
        to[0] = fill;
        to[1] = fill;
        to[2] = fill;
        to[3] = fill;
    }
}

/* --- any window ---------------------------------------------------------------------------------
 *
 * Words of all cells that some rows of outputs reach; those of a pair of neighbours are expanded
 * for every window. A row of odd length is paired with a cell of weight zero.
 */
enum { EDGEQ_CELLS_WORDS = 256 }; /* for these rows; more only if one row of outputs needs it */

/* The windows of a row of outputs. The assembly loads the members in their order. */
typedef struct {
    const uint32_t *weight; /* for each pair of taps a word a channel */
    int32_t rows;           /* of a window */
    int32_t pairs;          /* of cells in a row */
    int32_t advance;        /* bytes from a row's last pair to the next row */
    int32_t addend;         /* 2 * output zero point + 1 */
    int32_t channels;
    const edgeq_block_channel *of;
} edgeq_windows;

#if EDGEQ_DSP_ASM
EDGEQ_AT(edgeq_windows, weight, 0);
EDGEQ_AT(edgeq_windows, rows, 4);
EDGEQ_AT(edgeq_windows, pairs, 8);
EDGEQ_AT(edgeq_windows, advance, 12);
EDGEQ_AT(edgeq_windows, addend, 16);
EDGEQ_AT(edgeq_windows, channels, 20);
EDGEQ_AT(edgeq_windows, of, 24);

/* r0 runs over cells, r4 over weights; r5 counts rows, r10 pairs; r6..r9 are the sums. */
__attribute__((naked, noinline)) static void edgeq_one_window(const uint32_t *cells
                                                              __attribute__((unused)),
                                                              const edgeq_windows *job
                                                              __attribute__((unused)),
                                                              int8_t *y __attribute__((unused))) {
    __asm__("push {r2, r4-r11, lr}\n"
            "ldm r1!, {r4, r5}\n"
            "movs r6, #0\n"
            "movs r7, #0\n"
            "mov r8, r6\n"
            "mov r9, r6\n"
            "2:\n"
            "ldr.w r10, [r1]\n"
            ".balign 4\n"
            "1:\n"
            "ldr.w r3, [r0, #4]\n"
            "ldr.w r2, [r0], #8\n"
            "sxtb16 r12, r2\n"
            "sxtb16 lr, r3\n"
            "sxtb16 r2, r2, ror #8\n"
            "sxtb16 r3, r3, ror #8\n"
            "pkhbt r11, r12, lr, lsl #16\n"
            "pkhtb lr, lr, r12, asr #16\n"
            "pkhbt r12, r2, r3, lsl #16\n"
            "pkhtb r3, r3, r2, asr #16\n"
            "ldr.w r2, [r4], #4\n"
            "smlad r6, r11, r2, r6\n"
            "ldr.w r11, [r4, #4]\n"
            "ldr.w r2, [r4], #12\n"
            "smlad r8, lr, r11, r8\n"
            "smlad r7, r12, r2, r7\n"
            "ldr r2, [r4, #-4]\n"
            "smlad r9, r3, r2, r9\n"
            "subs.w r10, r10, #1\n"
            "bne.w 1b\n"
            "ldr.w r2, [r1, #4]\n"
            "add.w r0, r0, r2\n"
            "subs.w r5, r5, #1\n"
            "bne.w 2b\n"
            "push {r6-r9}\n"
            "ldr r2, [sp, #16]\n"
            "ldr r5, [r1, #8]\n"
            "ldr r6, [r1, #12]\n"
            "ldr r1, [r1, #16]\n"
            "mov r7, sp\n"
            "3:\n" /* a channel; the divisor's leading zeros are its shift less 1 */
            "ldm r7!, {r0}\n"
            "ldr r3, [r1]\n"
            "ldr r4, [r1, #8]\n"
            "add.w r0, r3, r0, lsl #1\n"
            "ldr r3, [r1, #4]\n"
            "clz r4, r4\n"
            "smmulr r0, r0, r3\n"
            "add.w r0, r0, r0, asr #31\n"
            "asrs r0, r4\n"
            "adds r0, r0, r5\n"
            "ssat r0, #8, r0, asr #1\n"
            "strb r0, [r2], #1\n"
            "adds r1, #36\n"
            "subs r6, #1\n"
            "bne 3b\n"
            "add sp, #20\n"
            "pop {r4-r11, pc}\n");
}
#else
static void edgeq_one_window(const uint32_t *cells, const edgeq_windows *job, int8_t *y) {
    const uint32_t *weight = job->weight;
    int32_t acc[4] = {0, 0, 0, 0};
    for (int32_t i = 0; i < job->rows; i++, cells += job->advance / 4) {
        for (int32_t n = job->pairs; n > 0; n--, cells += 2, weight += 4) {
            uint32_t x[4];
            edgeq_pair_cells(cells[0], cells[1], x);
            for (int32_t c = 0; c < 4; c++) {
                acc[c] = edgeq_smlad(x[c], weight[c], acc[c]);
            }
        }
    }
    for (int32_t c = 0; c < job->channels; c++) {
        const edgeq_block_channel *of = job->of + c;
        int32_t v =
            edgeq_smmulr((int32_t)((uint32_t)of->bias + 2u * (uint32_t)acc[c]), of->multiplier);
        v = ((v + (v >> 31)) >> __builtin_clz((uint32_t)of->divisor)) + job->addend;
        y[c] = (int8_t)edgeq_clamp(v >> 1, -128, 127);
    }
}
#endif

/* One direction of the map. */
typedef struct {
    int32_t input;
    int32_t output;
    int32_t kernel;
    int32_t stride;
    int32_t padding;  /* before the first cell */
    int32_t x_step;   /* bytes from cell to cell of the input */
    int32_t y_step;   /* of the output */
    int32_t tap_step; /* words from tap to tap */
} edgeq_axis;

/* Cells of `rows` rows of the map, from (row, -padding) on: what is inside. */
static inline void edgeq_put_cells(const edgeq_block *b, const edgeq_axis *down,
                                   const edgeq_axis *across, int32_t row, int32_t rows,
                                   int32_t pitch, uint32_t *to) {
    int32_t last = edgeq_clamp(across->input, 0, pitch - across->padding);
    to += across->padding;
    for (; rows > 0; rows--, row++, to += pitch) {
        const int8_t *from = b->x + row * down->x_step;
        bool inside = row >= 0 && row < down->input;
        for (int32_t i = 0; inside && i < last; i++, from += across->x_step) {
            to[i] = b->channels == 4 ? edgeq_load_word(from) : edgeq_cell(from, b->channels);
        }
    }
}

EDGEQ_SMALL static void edgeq_depthwise_any(const edgeq_block *b, uint32_t *scratch) {
    const edgeq_conv_2d_params *p = b->p;
    const edgeq_window *w = &p->window;
    const edgeq_axis axes[2] = {
        {w->input_height, w->output_height, w->kernel_height, w->stride_height, w->padding_top,
         w->input_width * w->channels, w->output_width * w->channels, w->kernel_width},
        {w->input_width, w->output_width, w->kernel_width, w->stride_width, w->padding_left,
         w->channels, w->channels, 1},
    };
    bool turned = w->kernel_width * ((w->kernel_height + 1) >> 1) <
                  w->kernel_height * ((w->kernel_width + 1) >> 1); /* fewer pairs */
    const edgeq_axis *down = axes + (turned ? 1 : 0);
    const edgeq_axis *across = axes + (turned ? 0 : 1);
    EDGEQ_IN_MEMORY(down);
    EDGEQ_IN_MEMORY(across);
    edgeq_windows job;
    job.weight = scratch;
    job.rows = down->kernel;
    job.pairs = (across->kernel + 1) >> 1;
    job.addend = 2 * p->output_zero_point + 1;
    job.channels = b->channels;
    job.of = b->of;
    for (int32_t i = 0; i < down->kernel; i++) {
        const uint32_t *tap = b->taps + i * down->tap_step;
        for (int32_t j = across->kernel; j > 0; j -= 2, scratch += 4) {
            edgeq_pair_cells(tap[0], j > 1 ? tap[across->tap_step] : 0, scratch);
            tap += 2 * across->tap_step;
        }
    }
    int32_t pitch = (across->output - 1) * across->stride + 2 * job.pairs;
    int32_t rows = 1; /* of outputs at once */
    int32_t more = pitch * (down->kernel + down->stride);
    while (rows < down->output && more <= EDGEQ_CELLS_WORDS) {
        rows++;
        more += pitch * down->stride;
        EDGEQ_STEPS(more);
    }
    job.advance = 4 * (pitch - 2 * job.pairs);
    for (int32_t row = 0; row < down->output; row += rows) {
        int32_t height = (rows - 1) * down->stride + down->kernel;
        const uint32_t *cells = scratch;
        edgeq_fill(scratch, pitch * height, (uint32_t)(uint8_t)p->input_zero_point * 0x01010101u);
        edgeq_put_cells(b, down, across, row * down->stride - down->padding, height, pitch,
                        scratch);
        for (int32_t i = row; i < down->output && i < row + rows; i++) {
            int8_t *y = b->y + i * down->y_step;
            for (int32_t j = 0; j < across->output; j++, y += across->y_step) {
                edgeq_one_window(cells + j * across->stride, &job, y);
            }
            cells += down->stride * pitch;
        }
    }
}

/* --- 3x3, at most two cells from window to window: two rows a word ------------------------------
 *
 * A strip of the padded map is expanded into scratch: columns EDGEQ_STRIP_PITCH words apart, in a
 * column a band for two rows, in a band a word a channel, the upper row in its low half. With a
 * column's weights (w0, w1, w2) from top to bottom, as words (w0, w1) and (w1, w2), two output
 * rows at stride 1 take bands A and B below it: the upper one sums A (w0, w1) + B.low w2, the
 * lower one A.high w0 + B (w1, w2). At stride 2 there is the upper one only. Going down a column
 * of outputs, each band that is loaded ends one turn as B and begins the next as A.
 *
 * Weights and bias are doubled, for SMMULR takes twice the accumulator. The rounding divide by
 * 2^s, ties away from zero, is SMMLAR with 2^(32 - s) + 1: v (2^(32 - s) + 1) + 2^31 is a multiple
 * of 2^(32 - s) and v; it is above the tie for v > 0, just under it for v < 0, and |v| < 2^(32 - s)
 * leaves whatever is no tie on its side. The addend is the zero point.
 */
enum {
    EDGEQ_STRIP_TURNS = 16,                          /* 32 rows of outputs at stride 1 */
    EDGEQ_STRIP_CELLS = 10,                          /* 8 columns of them */
    EDGEQ_STRIP_PITCH = 4 * (EDGEQ_STRIP_TURNS + 1), /* 272 bytes */
    EDGEQ_STRIP_REACH = 9 * 128 * 127,               /* of a sum without its bias */
};

/* What all blocks of a strip have in common. Columns are those of outputs. */
typedef struct {
    int32_t zero_point;
    int32_t row_step;  /* from row to row of y */
    int32_t step;      /* from column to column of y */
    int32_t last_step; /* row_step, or 0 when the last turn's lower row is not wanted */
    int32_t length;    /* bytes of a column's bands: 16 (turns + 1); 4 less at stride 2 */
    int32_t advance;   /* bytes of bands from the end of a column to the next one */
    int32_t span;      /* from the first one to the end of the last one */
    int32_t rewind;    /* bytes of y from a channel's last column to the next one's first */
    int32_t turns;     /* from here on the twin's alone */
    int32_t columns;
    int32_t between; /* words of bands between two columns */
} edgeq_slide;

#if EDGEQ_DSP_ASM
EDGEQ_AT(edgeq_slide, zero_point, 0);
EDGEQ_AT(edgeq_slide, row_step, 4);
EDGEQ_AT(edgeq_slide, step, 8);
EDGEQ_AT(edgeq_slide, last_step, 12);
EDGEQ_AT(edgeq_slide, length, 16);
EDGEQ_AT(edgeq_slide, advance, 20);
EDGEQ_AT(edgeq_slide, span, 24);
EDGEQ_AT(edgeq_slide, rewind, 28);
EDGEQ_HOLDS(4 * EDGEQ_STRIP_PITCH == 272); /* bytes from column to column of the bands */

/* Constants live in s0..s14, or in a frame where there is no FPU: s0..s2 are the channel's first
 * members, s3..s10 the strip's, the others are
 * s11: end of the last column, s12: of this one, s13: its place in y, s14: the next channel,
 * s15: the end of the channels. */
#if defined(__ARM_PCS_VFP)
#define EDGEQ_SLIDE_ENTER                                                                          \
    "push {r4-r11, lr}\n"                                                                          \
    "vldmia r0, {s3-s10}\n"
#define EDGEQ_SLIDE_FRAME   "0"
#define EDGEQ_SLIDE_FPU     ".fpu fpv4-sp-d16\n" /* zig takes this core to have none */
#define EDGEQ_SLIDE_CHANNEL "vldmia r8!, {s0-s2}\n"
#define EDGEQ_SLIDE_GET     "vmov \\r, s\\k\n"
#define EDGEQ_SLIDE_SET     "vmov s\\k, \\r\n"
#define EDGEQ_SLIDE_LEAVE   "pop {r4-r11, pc}\n"
#else
#define EDGEQ_SLIDE_ENTER                                                                          \
    "push {r4-r11, lr}\n"                                                                          \
    "sub sp, sp, #64\n"                                                                            \
    "ldm r0, {r4-r11}\n"                                                                           \
    "add r12, sp, #12\n"                                                                           \
    "stm r12, {r4-r11}\n"
#define EDGEQ_SLIDE_FRAME "64"
#define EDGEQ_SLIDE_FPU   ""
#define EDGEQ_SLIDE_CHANNEL                                                                        \
    "ldm r8!, {r2-r4}\n"                                                                           \
    "stm sp, {r2-r4}\n"
#define EDGEQ_SLIDE_GET "ldr.w \\r, [sp, #4 * \\k]\n"
#define EDGEQ_SLIDE_SET "str.w \\r, [sp, #4 * \\k]\n"
#define EDGEQ_SLIDE_LEAVE                                                                          \
    "add sp, sp, #64\n"                                                                            \
    "pop {r4-r11, pc}\n"
#endif

/* r0 runs down the bands, r1 down y, r2..r7 hold the weights. At stride 1, of the accumulators
 * (r8, r9) and (r10, r11) one pair is this turn's, the other holds finished outputs, then the next
 * turn's; at stride 2 r8 and r10 are alone. */
__attribute__((naked, noinline)) static void
edgeq_slide_block(const edgeq_slide *strip __attribute__((unused)),
                  const edgeq_block_channel *of __attribute__((unused)),
                  const edgeq_block_channel *end __attribute__((unused)),
                  const uint32_t *bands __attribute__((unused)),
                  int8_t *y __attribute__((unused))) {
    __asm__(EDGEQ_SLIDE_FPU
            ".macro get r, k\n" EDGEQ_SLIDE_GET ".endm\n"
            ".macro set r, k\n" EDGEQ_SLIDE_SET ".endm\n"
            ".macro taps x, w01, w12, upper, lower, next, below\n"
            "smlabt \\upper, \\x, \\w12, \\upper\n"
            "smlad \\lower, \\x, \\w12, \\lower\n"
            "smlad \\next, \\x, \\w01, \\next\n"
            "smlatb \\below, \\x, \\w01, \\below\n"
            ".endm\n"
            ".macro turn upper, lower, next, below\n"
            "get \\next, 0\n"
            "smlatb \\below, r12, r2, \\next\n"
            "smlad \\next, r12, r2, \\next\n"
            "smlabt \\upper, r12, r3, \\upper\n"
            "smlad \\lower, r12, r3, \\lower\n"
            "ldr.w r12, [r0, #2 * 272 - 16]\n"
            "taps lr, r4, r5, \\upper, \\lower, \\next, \\below\n"
            "taps r12, r6, r7, \\upper, \\lower, \\next, \\below\n"
            "get lr, 1\n"
            "smmulr \\upper, \\upper, lr\n"
            "smmulr \\lower, \\lower, lr\n"
            "get r12, 2\n"
            "get lr, 3\n"
            "smmlar \\upper, \\upper, r12, lr\n"
            "smmlar \\lower, \\lower, r12, lr\n"
            "ssat \\upper, #8, \\upper\n"
            "ssat \\lower, #8, \\lower\n"
            ".endm\n"
            ".macro load\n"
            "ldr.w lr, [r0, #272]\n"
            "ldr.w r12, [r0], #16\n"
            ".endm\n"
            ".macro put upper, lower\n"
            "load\n"
            "strb.w \\upper, [r1]\n"
            "get \\upper, 4\n"
            "add.w r1, r1, \\upper\n"
            "strb.w \\lower, [r1]\n"
            "add.w r1, r1, \\upper\n"
            ".endm\n"
            ".macro turn_2 upper, next\n"
            "get \\next, 0\n"
            "smlabt \\upper, r12, r3, \\upper\n"
            "smlad \\next, r12, r2, \\next\n"
            "smlabt \\upper, lr, r5, \\upper\n"
            "smlad \\next, lr, r4, \\next\n"
            "get lr, 1\n"
            "smlabt \\upper, r9, r7, \\upper\n"
            "smlad \\next, r9, r6, \\next\n"
            "smmulr \\upper, \\upper, lr\n"
            "get r12, 2\n"
            "get lr, 3\n"
            "smmlar \\upper, \\upper, r12, lr\n"
            "ssat \\upper, #8, \\upper\n"
            ".endm\n"
            ".macro put_2 upper\n"
            "ldr.w r9, [r0, #2 * 272]\n"
            "load\n"
            "strb.w \\upper, [r1]\n"
            "add.w r1, r1, r11\n"
            ".endm\n" EDGEQ_SLIDE_ENTER "set r2, 15\n"
            "mov.w r8, r1\n"
            "mov.w r0, r3\n"
            "get r9, 9\n"
            "add.w r9, r0, r9\n"
            "set r9, 11\n"
            "ldr.w r1, [sp, #36 + " EDGEQ_SLIDE_FRAME "]\n"
            "6:\n" /* a channel */
            EDGEQ_SLIDE_CHANNEL "ldm.w r8!, {r2-r7}\n"
            "set r8, 14\n"
            ".balign 4\n"
            "5:\n" /* a column */
            "set r1, 13\n"
            "get r10, 7\n"
            "add.w r12, r0, r10\n"
            "set r12, 12\n"
            "get r8, 0\n"
            "lsls.w r12, r10, #28\n" /* minus: stride 2; carry: bit 4 of the length */
            "ldr.w r11, [r0, #2 * 272]\n"
            "ldr.w r12, [r0, #272]\n"
            "ldr.w r10, [r0], #16\n"
            "smlatb r9, r10, r2, r8\n"
            "smlad r8, r10, r2, r8\n"
            "smlatb r9, r12, r4, r9\n"
            "smlad r8, r12, r4, r8\n"
            "smlatb r9, r11, r6, r9\n"
            "smlad r8, r11, r6, r8\n"
            "bmi.w 7f\n"
            "load\n"
            "bcs.w 2f\n"
            "mov.w r10, r8\n"
            "mov.w r11, r9\n"
            "b.w 3f\n"
            ".balign 4\n"
            "1:\n"
            "put r10, r11\n"
            "2:\n"
            "turn r8, r9, r10, r11\n"
            "put r8, r9\n"
            "3:\n"
            "turn r10, r11, r8, r9\n"
            "get r12, 12\n"
            "cmp.w r0, r12\n"
            "bne.w 1b\n"
            "8:\n"
            "get r8, 6\n"
            "get r9, 11\n"
            "strb.w r11, [r1, r8]\n"
            "strb.w r10, [r1]\n" /* wins where they share a place */
            "cmp.w r0, r9\n"
            "get r1, 13\n"
            "get r8, 5\n"
            "get r12, 8\n"
            "beq.w 4f\n"
            "add.w r0, r0, r12\n"
            "add.w r1, r1, r8\n"
            "b.w 5b\n"
            "4:\n"
            "get r8, 14\n"
            "get r12, 15\n"
            "get r2, 10\n"
            "get r3, 9\n"
            "add.w r1, r1, r2\n"
            "sub.w r0, r9, r3\n"
            "add.w r0, r0, #4\n"
            "add.w r9, r9, #4\n"
            "set r9, 11\n"
            "cmp.w r8, r12\n"
            "bne.w 6b\n" EDGEQ_SLIDE_LEAVE ".balign 4\n"
            "7:\n"
            "ldr.w r9, [r0, #2 * 272]\n"
            "load\n"
            "get r11, 4\n"
            "bcc.w 2f\n"
            "mov.w r10, r8\n"
            "b.w 3f\n"
            ".balign 4\n"
            "1:\n"
            "put_2 r10\n"
            "2:\n"
            "turn_2 r8, r10\n"
            "put_2 r8\n"
            "3:\n"
            "turn_2 r10, r8\n"
            "get r12, 12\n"
            "cmp.w r0, r12\n"
            "blo.w 1b\n"
            "b.w 8b\n"
            ".purgem get\n"
            ".purgem set\n"
            ".purgem taps\n"
            ".purgem turn\n"
            ".purgem load\n"
            ".purgem put\n"
            ".purgem turn_2\n"
            ".purgem put_2\n");
}
#else
static int8_t edgeq_slide_output(int32_t acc, const edgeq_block_channel *of, int32_t zero_point) {
    int32_t v = edgeq_smmulr(edgeq_smmulr(acc, of->multiplier), of->divisor);
    return (int8_t)edgeq_clamp(v + zero_point, -128, 127);
}

static void edgeq_slide_column(const edgeq_slide *strip, const edgeq_block_channel *of,
                               const uint32_t *a, int8_t *y) {
    bool one = (strip->length & 15) == 0; /* the stride */
    for (int32_t i = 0; i < strip->turns; i++, y += one ? 2 * strip->row_step : strip->row_step) {
        int32_t upper = of->bias;
        int32_t lower = of->bias;
        for (int32_t k = 0; k < 3; k++) {
            uint32_t above = a[k * EDGEQ_STRIP_PITCH + 4 * i];
            uint32_t below = a[k * EDGEQ_STRIP_PITCH + 4 * i + 4];
            uint32_t w01 = of->weights[2 * k];
            uint32_t w12 = of->weights[2 * k + 1];
            upper = edgeq_smlad(above, w01, upper);
            upper = edgeq_smlad(below & 0xFFFFu, w12 >> 16, upper);
            lower = edgeq_smlad(above >> 16, w01 & 0xFFFFu, lower);
            lower = edgeq_smlad(below, w12, lower);
        }
        if (one) {
            int32_t step = i + 1 < strip->turns ? strip->row_step : strip->last_step;
            y[step] = edgeq_slide_output(lower, of, strip->zero_point);
        }
        y[0] = edgeq_slide_output(upper, of, strip->zero_point);
    }
}

static void edgeq_slide_block(const edgeq_slide *strip, const edgeq_block_channel *of,
                              const edgeq_block_channel *end, const uint32_t *bands, int8_t *y) {
    for (; of < end; of++, bands++, y += strip->rewind) {
        const uint32_t *a = bands;
        for (int32_t j = 0; j < strip->columns; j++) {
            edgeq_slide_column(strip, of, a, y);
            a += strip->between;
            y += j + 1 < strip->columns ? strip->step : 0;
        }
    }
}
#endif

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

/* `taps`: words that the block's taps take at the beginning of scratch. */
static inline void edgeq_depthwise_conv_2d_dsp(const edgeq_conv_2d_params *p, const int8_t *x,
                                               int8_t *y, uint32_t *scratch, int32_t taps) {
    const edgeq_window *w = &p->window;
    bool strips = w->kernel_height == 3 && w->kernel_width == 3 && w->stride_height <= 2 &&
                  w->stride_width <= 2 && w->channels >= 4;
    int32_t rows = w->output_height;
    int32_t columns = w->output_width;
    edgeq_block b;
    edgeq_strip s;
    b.p = p;
    b.channels = w->channels < 4 ? w->channels : 4;
    if (strips) {
        rows = edgeq_part(rows, 2 * EDGEQ_STRIP_TURNS >> (w->stride_height - 1));
        rows += rows & w->stride_height & 1;
        columns = edgeq_part(columns, (EDGEQ_STRIP_CELLS - 2) >> (w->stride_width - 1));
    }
    s.bands = scratch + taps;
    for (s.row = 0; s.row < w->output_height; s.row += rows) {
        for (s.column = 0; s.column < w->output_width; s.column += columns) {
            edgeq_strip_of(p, &s, rows, columns);
            bool filled = false;
            for (int32_t i = 0; 4 * i < w->channels; i++) {
                bool exact = edgeq_take_block(&b, i, scratch);
                b.x = x + b.first;
                b.y = y + b.first;
                if (exact && strips) {
                    if (!filled) {
                        edgeq_fill(s.bands, s.words,
                                   ((uint32_t)p->input_zero_point & 0xFFFFu) * 0x00010001u);
                    }
                    filled = true;
                    edgeq_depthwise_strip(&b, &s);
                } else if (s.row + s.column == 0) { /* all of the block's strips at once */
                    edgeq_depthwise_any(&b, s.bands);
                    filled = false;
                }
            }
        }
    }
    if (p->activation_min > -128 || p->activation_max < 127) { /* only saturated so far */
        int8_t *end = y + w->output_height * w->output_width * w->channels;
        for (; y < end; y++) {
            *y = (int8_t)edgeq_clamp(*y, p->activation_min, p->activation_max);
        }
    }
}

#endif
