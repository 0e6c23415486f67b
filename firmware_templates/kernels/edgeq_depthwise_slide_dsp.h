/* Depthwise convolutions on DSP cores: 3x3, at most two cells from window to window: two rows a
 * word.
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
#ifndef EDGEQ_DEPTHWISE_SLIDE_DSP_H
#define EDGEQ_DEPTHWISE_SLIDE_DSP_H

#include <stdbool.h>

#include "edgeq_depthwise_blocks_dsp.h"
#include "edgeq_dsp.h"
#include "edgeq_requantize.h"

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
    int32_t step;      /* from a column's last turn to the next one's first, in y */
    int32_t last_step; /* row_step, or 0 when the last turn's lower row is not wanted */
    int32_t length;    /* bytes of a column's bands: 16 (turns + 1); 4 less at stride 2 */
    int32_t advance;   /* bytes of bands from the end of a column to the next one */
    int32_t span;      /* from the first one to the end of the last one */
    int32_t rewind;    /* from the last turn of a channel to the first of the next, in y */
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
 * s11: end of the last column, s12: of this one, s14: the next channel, s15: the end of the
 * channels. */
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
            ".macro scale upper, lower\n"
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
            ".macro turn upper, lower, next, below\n"
            "get \\next, 0\n"
            "smlatb \\below, r12, r2, \\next\n"
            "smlad \\next, r12, r2, \\next\n"
            "smlabt \\upper, r12, r3, \\upper\n"
            "smlad \\lower, r12, r3, \\lower\n"
            "ldr.w r12, [r0, #2 * 272 - 16]\n"
            "taps lr, r4, r5, \\upper, \\lower, \\next, \\below\n"
            "taps r12, r6, r7, \\upper, \\lower, \\next, \\below\n"
            "scale \\upper, \\lower\n"
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
            "mov r8, r1\n"
            "mov r0, r3\n"
            "get r9, 9\n"
            "add r9, r0\n"
            "set r9, 11\n"
            "ldr r1, [sp, #36 + " EDGEQ_SLIDE_FRAME "]\n"
            "6:\n" /* a channel */
            EDGEQ_SLIDE_CHANNEL "ldm.w r8!, {r2-r7}\n"
            "set r8, 14\n"
            ".balign 4\n"
            "5:\n" /* a column */
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
            "bcs 2f\n"
            "mov r10, r8\n"
            "mov r11, r9\n"
            "b 3f\n"
            ".balign 4\n"
            "1:\n"
            "turn r10, r11, r8, r9\n"
            "put r10, r11\n"
            "2:\n"
            "turn r8, r9, r10, r11\n"
            "put r8, r9\n"
            "3:\n"
            "get r8, 12\n"
            "cmp.w r0, r8\n"
            "bne.w 1b\n"
            "smlabt r10, r12, r3, r10\n" /* the last turn: nothing is begun */
            "smlad r11, r12, r3, r11\n"
            "ldr.w r12, [r0, #2 * 272 - 16]\n"
            "smlabt r10, lr, r5, r10\n"
            "smlad r11, lr, r5, r11\n"
            "smlabt r10, r12, r7, r10\n"
            "smlad r11, r12, r7, r11\n"
            "scale r10, r11\n"
            "8:\n"
            "get r8, 6\n"
            "get r9, 11\n"
            "strb.w r11, [r1, r8]\n"
            "strb.w r10, [r1]\n" /* wins where they share a place */
            "cmp r0, r9\n"
            "beq 4f\n"
            "get r8, 5\n"
            "get r12, 8\n"
            "add r1, r8\n"
            "add r0, r12\n"
            "b 5b\n"
            "4:\n"
            "get r8, 14\n"
            "get r12, 15\n"
            "get r2, 10\n"
            "get r3, 9\n"
            "add r9, r9, #4\n"
            "set r9, 11\n"
            "add r1, r2\n"
            "sub.w r0, r9, r3\n"
            "cmp r8, r12\n"
            "bne.w 6b\n" EDGEQ_SLIDE_LEAVE ".balign 4\n"
            "7:\n"
            "ldr.w r9, [r0, #2 * 272]\n"
            "load\n"
            "get r11, 4\n"
            "bcc 2f\n"
            "mov r10, r8\n"
            "b 3f\n"
            ".balign 4\n"
            "1:\n"
            "put_2 r10\n"
            "2:\n"
            "turn_2 r8, r10\n"
            "put_2 r8\n"
            "3:\n"
            "turn_2 r10, r8\n"
            "get r12, 12\n"
            "cmp r0, r12\n"
            "blo 1b\n"
            "b 8b\n"
            ".purgem get\n"
            ".purgem set\n"
            ".purgem taps\n"
            ".purgem scale\n"
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

/* Answers the place of the last turn. */
static int8_t *edgeq_slide_column(const edgeq_slide *strip, const edgeq_block_channel *of,
                                  const uint32_t *a, int8_t *y) {
    bool one = (strip->length & 15) == 0; /* the stride */
    for (int32_t i = 0; i < strip->turns; i++) {
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
        y += i == 0 ? 0 : one ? 2 * strip->row_step : strip->row_step;
        if (one) {
            int32_t step = i + 1 < strip->turns ? strip->row_step : strip->last_step;
            y[step] = edgeq_slide_output(lower, of, strip->zero_point);
        }
        y[0] = edgeq_slide_output(upper, of, strip->zero_point);
    }
    return y;
}

static void edgeq_slide_block(const edgeq_slide *strip, const edgeq_block_channel *of,
                              const edgeq_block_channel *end, const uint32_t *bands, int8_t *y) {
    for (; of < end; of++, bands++) {
        const uint32_t *a = bands;
        for (int32_t j = 1; j <= strip->columns; j++) {
            y = edgeq_slide_column(strip, of, a, y);
            a += strip->between;
            y += j < strip->columns ? strip->step : strip->rewind;
        }
    }
}
#endif

#endif
