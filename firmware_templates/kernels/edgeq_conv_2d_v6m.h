/* Convolutions on ARMv6-M: four output channels of two pixels at a time, eight low registers.
 *
 * The patches of two pixels stand in scratch as bytes u = x + 128, four columns of the first, the
 * same four of the second, and so on, zeros behind the last; `bias` takes - (128 + zero point) *
 * sum(w), weights are c = (w - OFFSET) / STEP, and a row is STEP * sum(c u) + OFFSET * sum(u).
 * Columns stand in the order (kernel height, kernel width, channels).
 *
 * Narrow weights: words as in edgeq_fully_connected_v6m.h, two rows in the halves of one; the word
 * of rows (0, 1), then that of rows (2, 3) of the same columns.
 *
 * 8-bit weights, -127 to 127: a word holds one column of four rows, w0 + 256 w1 in its lower half,
 * w2 + 256 w3 in its upper. Both rows of a half share a product: S = sum (w0 + 256 w1) u and D =
 * sum w0 u give row 1 as (S - D) >> 8, exact for 256 columns, as 256 * 127 * 255 is below 2^23.
 *
 * An including source defines, before the include: EDGEQ_V6M_BITS (8, or the spacing of codes: 2 or
 * 4), _MASK, _COLUMNS (of a turn), _CHUNK (columns until the sums are taken apart), _STEP, _OFFSET.
 */
#ifndef EDGEQ_CONV_2D_V6M_H
#define EDGEQ_CONV_2D_V6M_H

#include "edgeq_kernels_v6m.h"
#include "edgeq_outputs_v6m.h"
#include "edgeq_patch_v6m.h"

enum {
    EDGEQ_V6M_PAIR_CHUNK = 2 * EDGEQ_V6M_CHUNK, /* bytes of both patches */
    EDGEQ_V6M_BLOCK = 16                        /* channels between two calls for their outputs */
};

/* sums: of row 0 the first pixel's and the second's, then those of rows 1 to 3; narrow weights add
 * to them, as their chunks are short. */
#if defined(__thumb__) && !defined(EDGEQ_PORTABLE)
#define EDGEQ_V6M_UNUSED   __attribute__((unused))
#define EDGEQ_V6M_TEXT_(x) #x
#define EDGEQ_V6M_TEXT(x)  EDGEQ_V6M_TEXT_(x)

/* clang-format off */
/* r0 weights, r1 patches, then what a width needs; on the stack `end` and `sums`. */
#define EDGEQ_V6M_ENTER                                                                            \
    ".syntax unified\n"                                                                            \
    "push {r4-r7, lr}\n"                                                                           \
    "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"                                        \
    "push {r2, r3, r4-r7}\n"                                                                       \
    "movs r3, #0\n"                                                                                \
    "mov r8, r3\n mov r9, r3\n mov r10, r3\n mov r11, r3\n"
#define EDGEQ_V6M_LEAVE                                                                            \
    "pop {r2, r3, r4-r7}\n"                                                                        \
    "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"                                        \
    "pop {r4-r7, pc}\n"

#if EDGEQ_V6M_BITS == 8
/* 29 cycles for the eight products of a column. r2 and r4 activations, r3 free, r5 weights; rows 0:
 * r6 and r7, halves (0, 1): r8 and r11, rows 2: r9 and r12, halves (2, 3): r10 and lr. */
#define EDGEQ_V6M_COLUMN(first, second)                                                            \
    "ldmia r0!, {r5}\n"                                                                            \
    "ldrb r2, [r1, #" first "]\n ldrb r4, [r1, #" second "]\n"                                     \
    "sxtb r3, r5\n muls r3, r2\n adds r6, r6, r3\n"                                                \
    "sxtb r3, r5\n muls r3, r4\n adds r7, r7, r3\n"                                                \
    "sxth r3, r5\n muls r3, r2\n add r8, r3\n"                                                     \
    "sxth r3, r5\n muls r3, r4\n add r11, r3\n"                                                    \
    "asrs r5, r5, #16\n"                                                                           \
    "sxtb r3, r5\n muls r3, r2\n add r9, r3\n"                                                     \
    "sxtb r3, r5\n muls r3, r4\n add r12, r3\n"                                                    \
    "muls r2, r5\n add r10, r2\n"                                                                  \
    "muls r5, r4\n add lr, r5\n"
/* Two rows of a pixel to memory: the sum of row 0 in r3, of the half in r2. */
#define EDGEQ_V6M_STORE(row0, row1)                                                                \
    "subs r2, r2, r3\n asrs r2, r2, #8\n"                                                          \
    "str r3, [r0, #" row0 "]\n str r2, [r0, #" row1 "]\n"

__attribute__((naked, noinline)) static void
edgeq_two_pixels(EDGEQ_V6M_UNUSED const uint32_t *w, EDGEQ_V6M_UNUSED const uint8_t *patches,
                 EDGEQ_V6M_UNUSED const uint8_t *end, EDGEQ_V6M_UNUSED int32_t *sums) {
    __asm__(EDGEQ_V6M_ENTER
            "mov r12, r3\n mov lr, r3\n movs r6, #0\n movs r7, #0\n"
            "1:\n"
            EDGEQ_V6M_COLUMN("0", "4") EDGEQ_V6M_COLUMN("1", "5")
            EDGEQ_V6M_COLUMN("2", "6") EDGEQ_V6M_COLUMN("3", "7")
            "adds r1, #8\n"
            "ldr r3, [sp]\n"
            "cmp r1, r3\n"
            "bne 1b\n"
            "ldr r0, [sp, #4]\n"
            "mov r3, r6\n mov r2, r8\n" EDGEQ_V6M_STORE("0", "8")
            "mov r3, r9\n mov r2, r10\n" EDGEQ_V6M_STORE("16", "24")
            "mov r3, r7\n mov r2, r11\n" EDGEQ_V6M_STORE("4", "12")
            "mov r3, r12\n mov r2, lr\n" EDGEQ_V6M_STORE("20", "28")
            EDGEQ_V6M_LEAVE);
}
#else
/* 17 cycles for the eight products of a column. r0, r2, r3 and r7: of the two pixels, a product and
 * an activation each; r4 and r5 weights, r6 mask; r8 to r11 the sums of rows (0, 1) of the first
 * pixel and the second, and of rows (2, 3). r12 is where the next weights stand. */
#define EDGEQ_V6M_PRODUCTS(first, second, code0, code1)                                            \
    "ldrb r2, [r1, #" first "]\n ldrb r7, [r1, #" second "]\n"                                     \
    code0 "ands r3, r6\n movs r0, r3\n"                                                            \
    "muls r3, r2\n add r8, r3\n muls r0, r7\n add r9, r0\n"                                        \
    code1 "ands r3, r6\n"                                                                          \
    "muls r2, r3\n add r10, r2\n muls r7, r3\n add r11, r7\n"
#define EDGEQ_V6M_FIRST(first, second)                                                             \
    EDGEQ_V6M_PRODUCTS(first, second, "mov r3, r4\n", "mov r3, r5\n")
#define EDGEQ_V6M_NEXT(first, second, shift)                                                       \
    EDGEQ_V6M_PRODUCTS(first, second, "lsrs r3, r4, #" shift "\n", "lsrs r3, r5, #" shift "\n")
#if EDGEQ_V6M_BITS == 4
#define EDGEQ_V6M_STEPS                                                                            \
    EDGEQ_V6M_FIRST("0", "4") EDGEQ_V6M_NEXT("1", "5", "4")                                        \
    EDGEQ_V6M_NEXT("2", "6", "8") EDGEQ_V6M_NEXT("3", "7", "12")
#else
#define EDGEQ_V6M_STEPS                                                                            \
    EDGEQ_V6M_FIRST("0", "4") EDGEQ_V6M_NEXT("1", "5", "2")                                        \
    EDGEQ_V6M_NEXT("2", "6", "4") EDGEQ_V6M_NEXT("3", "7", "6")                                    \
    EDGEQ_V6M_NEXT("8", "12", "8") EDGEQ_V6M_NEXT("9", "13", "10")                                 \
    EDGEQ_V6M_NEXT("10", "14", "12") EDGEQ_V6M_NEXT("11", "15", "14")
#endif
/* Two rows of a pixel to memory. */
#define EDGEQ_V6M_STORE(sum, row0, row1)                                                           \
    "mov r2, " sum "\n uxth r3, r2\n lsrs r2, r2, #16\n"                                          \
    "ldr r4, [r0, #" row0 "]\n adds r3, r3, r4\n str r3, [r0, #" row0 "]\n"                       \
    "ldr r4, [r0, #" row1 "]\n adds r2, r2, r4\n str r2, [r0, #" row1 "]\n"

__attribute__((naked, noinline)) static void
edgeq_two_pixels(EDGEQ_V6M_UNUSED const uint32_t *w, EDGEQ_V6M_UNUSED const uint8_t *patches,
                 EDGEQ_V6M_UNUSED const uint8_t *end, EDGEQ_V6M_UNUSED int32_t *sums) {
    __asm__(EDGEQ_V6M_ENTER
            "movs r6, #(" EDGEQ_V6M_TEXT(EDGEQ_V6M_MASK) " & 255)\n"
            "lsls r3, r6, #16\n"
            "orrs r6, r3\n"
            "1:\n"
            "ldmia r0!, {r4, r5}\n"
            "mov r12, r0\n" EDGEQ_V6M_STEPS
            "adds r1, #(2 * " EDGEQ_V6M_TEXT(EDGEQ_V6M_COLUMNS) ")\n"
            "mov r0, r12\n"
            "ldr r3, [sp]\n"
            "cmp r1, r3\n"
            "bne 1b\n"
            "ldr r0, [sp, #4]\n"
            EDGEQ_V6M_STORE("r8", "0", "8") EDGEQ_V6M_STORE("r10", "16", "24")
            EDGEQ_V6M_STORE("r9", "4", "12") EDGEQ_V6M_STORE("r11", "20", "28")
            EDGEQ_V6M_LEAVE);
}
#endif
/* clang-format on */
#else
/* The sums of c u of four rows and two pixels, patches up to `end`: at most a chunk. */
static void edgeq_two_pixels(const uint32_t *w, const uint8_t *patches, const uint8_t *end,
                             int32_t *sums) {
    for (int32_t pixel = 0; pixel < 2; pixel++) {
        uint32_t both[2] = {0, 0};
        uint32_t low[2] = {0, 0};
        const uint32_t *words = w;
        for (const uint8_t *u = patches + 4 * pixel; u < end; u += 2 * EDGEQ_V6M_COLUMNS) {
            for (int32_t i = 0; i < EDGEQ_V6M_COLUMNS; i++) {
                uint32_t one = u[i + (i & ~3)];
#if EDGEQ_V6M_BITS == 8
                uint32_t word = *words++;
                both[0] += (uint32_t)(int32_t)(int16_t)(uint16_t)word * one;
                both[1] += (uint32_t)((int32_t)word >> 16) * one;
                low[0] += (uint32_t)(int32_t)(int8_t)(uint8_t)word * one;
                low[1] += (uint32_t)(int32_t)(int8_t)(uint8_t)(word >> 16) * one;
#else
                both[0] += (words[0] >> (i * EDGEQ_V6M_BITS) & EDGEQ_V6M_MASK) * one;
                both[1] += (words[1] >> (i * EDGEQ_V6M_BITS) & EDGEQ_V6M_MASK) * one;
#endif
            }
            words += EDGEQ_V6M_BITS == 8 ? 0 : 2;
        }
        for (int32_t i = 0; i < 2; i++) {
            int32_t upper = (int32_t)(both[i] - low[i]) >> 8;
            int32_t *of_pixel = sums + 4 * i + pixel;
            if (EDGEQ_V6M_BITS == 8) {
                of_pixel[0] = (int32_t)low[i];
                of_pixel[2] = upper;
            } else {
                of_pixel[0] += (int32_t)(both[i] & 0xFFFF);
                of_pixel[2] += (int32_t)(both[i] >> 16);
            }
        }
    }
}
#endif

/* Four channels of both pixels, all columns; returns the next channels' weights. `more`: what each
 * pixel's sums begin with. */
static inline const uint32_t *edgeq_four_channels(const uint32_t *w, const uint8_t *patches,
                                                  int32_t bytes, const int32_t *more,
                                                  int32_t *sums) {
    for (int32_t i = 0; i < 8 && EDGEQ_V6M_BITS != 8; i++) {
        sums[i] = more[i & 1];
    }
    for (int32_t at = 0; at < bytes; at += EDGEQ_V6M_PAIR_CHUNK) {
        int32_t left = bytes - at;
        int32_t taken = left < EDGEQ_V6M_PAIR_CHUNK ? left : EDGEQ_V6M_PAIR_CHUNK;
        if (EDGEQ_V6M_BITS != 8 || at == 0) {
            edgeq_two_pixels(w, patches + at, patches + at + taken, sums);
        } else {
            int32_t part[8];
            edgeq_two_pixels(w, patches + at, patches + at + taken, part);
            for (int32_t i = 0; i < 8; i++) {
                sums[i] += part[i];
            }
        }
        w += taken >> (EDGEQ_V6M_BITS == 8 ? 1 : EDGEQ_V6M_BITS == 4 ? 2 : 3);
    }
    return w;
}

/* All channels of the two pixels in scratch to y; `o` is of as many values as are wanted. */
static inline void edgeq_channels(const edgeq_conv_2d_params *p, edgeq_outputs *o,
                                  const uint8_t *patches, int32_t bytes, int8_t *y) {
    const uint32_t *w = p->weight;
    int32_t channels = 4 * p->outputs;
    int32_t more[2] = {0, 0};
    if (EDGEQ_V6M_OFFSET != 0) {
        more[0] = EDGEQ_V6M_OFFSET * edgeq_patch_total(patches, bytes);
        more[1] = EDGEQ_V6M_OFFSET * edgeq_patch_total(patches + 4, bytes);
    }
    for (o->first = 0; o->first < channels; y += EDGEQ_V6M_BLOCK) {
        int32_t sums[2 * EDGEQ_V6M_BLOCK];
        int32_t end = o->first + 4 * EDGEQ_V6M_BLOCK;
        o->last = channels < end ? channels : end;
        int32_t *to = sums;
        for (int32_t at = o->first; at < o->last; at += 16, to += 8) {
            w = edgeq_four_channels(w, patches, bytes, more, to);
        }
        if (o->sums_bytes == 4) { /* the first pixel alone */
            for (int32_t i = 1; i < EDGEQ_V6M_BLOCK; i++) {
                sums[i] = sums[2 * i];
            }
        }
        edgeq_put_outputs(o, sums, y);
    }
}

static inline void edgeq_conv_2d_v6m(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                     uint8_t *patches) {
    const edgeq_window *w = &p->window;
    int32_t columns = edgeq_patch_columns(w);
    int32_t padded = 0;
    while (padded < columns) {
        EDGEQ_STEPS(padded); /* clang would divide */
        padded += EDGEQ_V6M_COLUMNS;
    }
    for (int32_t i = 0; i < 2 * padded; i++) {
        patches[i] = 0;
    }
    edgeq_outputs o = edgeq_outputs_of(p->bias, p->multiplier, p->shift, p->output_zero_point,
                                       p->activation_min, p->activation_max);
    o.y_step = p->outputs;
    o.sums_bytes = 8;
    int32_t held = 0; /* pixels in scratch */
    for (int32_t i = 0; i < w->output_height; i++) {
        for (int32_t j = 0; j < w->output_width; j++) {
            edgeq_put_patch(p, x, i, j, patches + 4 * held);
            held++;
            if (held == 2) {
                edgeq_channels(p, &o, patches, 2 * padded, y);
                y += 2 * p->outputs;
                held = 0;
            }
        }
    }
    if (held != 0) {
        o.sums_bytes = 4;
        edgeq_channels(p, &o, patches, 2 * padded, y);
    }
}

#endif
