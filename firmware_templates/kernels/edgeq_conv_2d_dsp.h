/* Convolutions on DSP cores: two output pixels at a time.
 *
 * Pixel 0 walks through the first half of the output, row by row, and pixel 1 through the second
 * half (of an odd number both compute the middle one): output 5x5, pixel 0 at 0..12, pixel 1 at
 * 12..24. Their patches are gathered into scratch as 16-bit halves, once for all output channels;
 * cells outside the map hold the input zero point. Columns of a patch are taken in groups of four.
 * A group takes four words:
 *
 *   pixel 0: columns (0, 2)   pixel 1: columns (0, 2)   pixel 0: (1, 3)   pixel 1: (1, 3)
 *
 * (first column of each in the low half): what SXTB16 makes of a word, and of the word turned by
 * eight bits. A kernel then takes four rows (output channels) with both pixels: a word of weights
 * serves two multiplies. Rows are padded to blocks of four with zero weights, columns to groups.
 *
 * Channels in fours: the columns of a patch are (kernel width, kernel height, channels) flat, so
 * that a patch begins `stride` columns of the map behind its neighbour's and shares the others with
 * it. A strip of patches, as long as both pixels stay in their rows, is expanded at once: with a
 * 3x3 kernel, stride 1 and 16 channels, up to 19 patches are 21 columns of 192 bytes. Other
 * channels: columns are (kernel height, kernel width, channels) with zero weights behind every row
 * to a whole group. The rows of the map that a row of patches needs go to a band in scratch, one a
 * pixel, with their padding, and every patch of a strip is expanded from there by itself.
 *
 * Behind the weights of a block stand its parameters, nine words: four biases, doubled; four bytes
 * of -1 - shift, row 0 lowest; four multipliers. Biases 5, -1, 0, 0, shifts -9, -9, -10, -1 and
 * multipliers of 2^30: 0x0000000A 0xFFFFFFFE 0 0 0x00090808 0x40000000 (four times).
 *
 * Requantisation of an accumulator a, s = -shift: SMMULR(2 a, m) is SRDHM(a, m) as |a| < 2^30, and
 *
 *   (SRDHM(a, m) + (a >> 31) + (2 zero point + 1) << (s - 1)) >> s
 *
 * rounds ties away from zero. The sign is a's, not the product's: they differ where a negative a
 * gives the product 0, and there 0 and -1 round to the same. The sum stays within 32 bits while
 * s <= 23: 2^30 + 1 + 255 * 2^22 < 2^31.
 */
#ifndef EDGEQ_CONV_2D_DSP_H
#define EDGEQ_CONV_2D_DSP_H

#include <stdbool.h>

#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

/* Rows with the patches of pairs of pixels. The assembly knows the order. */
typedef struct {
    const uint32_t *weight;
    const uint32_t *patch;
    int32_t step;  /* bytes from one pair's patches to the next's */
    int32_t count; /* pairs of pixels */
    int8_t *y[2];
    int32_t rows;
    int32_t rounding;    /* 2 * output zero point + 1 */
    int32_t skip;        /* bytes of the unrolled loop that are left out in its first turn */
    int32_t first;       /* bytes of the first chunk of a patch; less by one if there are more */
    int32_t length;      /* bytes of a patch */
    const int32_t *sums; /* of x, two of each pair; where EDGEQ_CONV_SUMS asks for them */
} edgeq_pair_job;

typedef void edgeq_pair_kernel(const edgeq_pair_job *job);

/* What a weight format passes to the loop over pixels. */
typedef struct {
    edgeq_pair_kernel *kernel;
    int32_t word_shift; /* the weights of a block are 2 * pairs >> word_shift words */
    int32_t group;      /* columns are padded to a multiple of it, 4 or 8 */
    int32_t chunk;      /* pairs of columns after which sums are split */
    int32_t unrolled;   /* pairs of columns in a turn of the loop, */
    int32_t bytes;      /* its code, */
    int32_t apart;      /* and how many of a row's pairs come before it */
} edgeq_conv_format;

/* GCC takes a naked function for one that reads and writes nothing. */
#define EDGEQ_READS(from) __asm__ volatile("" : : "r"(from) : "memory")

enum { EDGEQ_PARAMETER_WORDS = 9, EDGEQ_STRIP_WORDS = 1024 };

#define EDGEQ_UNUSED __attribute__((unused))
/* The walk over pixels is long and its turns few. */
#ifdef __clang__
#define EDGEQ_SMALL __attribute__((minsize))
#else
#define EDGEQ_SMALL __attribute__((cold))
#endif

#if EDGEQ_DSP_ASM
/* A kernel loads eight words of its job, then four. */
EDGEQ_AT(edgeq_pair_job, weight, 0);
EDGEQ_AT(edgeq_pair_job, patch, 4);
EDGEQ_AT(edgeq_pair_job, step, 8);
EDGEQ_AT(edgeq_pair_job, count, 12);
EDGEQ_AT(edgeq_pair_job, y, 16);
EDGEQ_AT(edgeq_pair_job, rows, 24);
EDGEQ_AT(edgeq_pair_job, rounding, 28);
EDGEQ_AT(edgeq_pair_job, skip, 32);
EDGEQ_AT(edgeq_pair_job, first, 36);
EDGEQ_AT(edgeq_pair_job, length, 40);
EDGEQ_AT(edgeq_pair_job, sums, 44);

/* Pieces of the pair kernels. The accumulators of rows 0..3 are r4..r7 for pixel 0 and r8..r11 for
 * pixel 1; r0 runs over the stream, r1 over the patch; r2, r3, r12 and lr are free. Frame of a
 * kernel, from sp: eight words of its own, the job, then what comes of it. */
#define EDGEQ_F_WEIGHT    "[sp, #32]"
#define EDGEQ_F_PATCH     "[sp, #36]"
#define EDGEQ_F_STEP      "[sp, #40]"
#define EDGEQ_F_COUNT     "[sp, #44]"
#define EDGEQ_F_Y0        "[sp, #48]"
#define EDGEQ_F_Y1        "[sp, #52]"
#define EDGEQ_F_ROWS      "[sp, #56]" /* less 3 */
#define EDGEQ_F_ROUNDING  "[sp, #60]"
#define EDGEQ_F_ENTRY     "[sp, #64]"
#define EDGEQ_F_FIRST     "[sp, #68]"
#define EDGEQ_F_LENGTH    "[sp, #72]"
#define EDGEQ_F_SUMS      "[sp, #76]"
#define EDGEQ_F_CHUNK_END "[sp, #80]"
#define EDGEQ_F_FIRST_END "[sp, #84]"
#define EDGEQ_F_Y0_END    "[sp, #88]"
#define EDGEQ_F_SUM0      "[sp, #92]"
#define EDGEQ_F_SUM1      "[sp, #96]"
#define EDGEQ_FRAME       "#100"

#define EDGEQ_STRING(x)       #x
#define EDGEQ_REPEAT(n, code) ".rept " EDGEQ_STRING(n) "\n" code ".endr\n"

/* The first four words of the frame. */
#define EDGEQ_PAIR_CLEAR                                                                           \
    "movs r2, #0\n"                                                                                \
    "str r2, [sp, #0]\n"                                                                           \
    "str r2, [sp, #4]\n"                                                                           \
    "str r2, [sp, #8]\n"                                                                           \
    "str r2, [sp, #12]\n"

/* Label 1 is where the unrolled loop begins, label 7 a pair of pixels. */
#define EDGEQ_PAIR_ENTER(clear)                                                                    \
    "push {r4-r11, lr}\n"                                                                          \
    "sub sp, sp, " EDGEQ_FRAME "\n"                                                                \
    "add r12, sp, #32\n"                                                                           \
    "ldm r0!, {r1-r8}\n"                                                                           \
    "subs r7, r7, #3\n"                                                                            \
    "stm r12!, {r1-r8}\n"                                                                          \
    "ldm r0, {r1-r4}\n"                                                                            \
    "adr.w r6, 1f\n"                                                                               \
    "add r1, r1, r6\n"                                                                             \
    "stm r12, {r1-r4}\n" clear "7:\n"                                                              \
    "ldr r1, " EDGEQ_F_PATCH "\n"                                                                  \
    "ldr r2, " EDGEQ_F_FIRST "\n"                                                                  \
    "ldr r4, " EDGEQ_F_Y0 "\n"                                                                     \
    "ldr r5, " EDGEQ_F_ROWS "\n"                                                                   \
    "ldr r0, " EDGEQ_F_WEIGHT "\n"                                                                 \
    "adds r2, r2, r1\n"                                                                            \
    "adds r5, r5, r4\n"                                                                            \
    "str r2, " EDGEQ_F_CHUNK_END "\n"                                                              \
    "str r2, " EDGEQ_F_FIRST_END "\n"                                                              \
    "str r5, " EDGEQ_F_Y0_END "\n"

/* Doubled biases of four rows into r2, r3, r12, lr. */
#define EDGEQ_PAIR_BIAS                                                                            \
    "ldr lr, [r0, #12]\n"                                                                          \
    "ldr r12, [r0, #8]\n"                                                                          \
    "ldr.w r3, [r0, #4]\n"                                                                         \
    "ldr r2, [r0], #16\n"

/* One row of doubled accumulators: r2 its multiplier, r3 its shift in the low byte. */
#define EDGEQ_PAIR_ROW(a, b)                                                                       \
    "lsl.w r1, r12, r3\n"                                                                          \
    "add lr, r1, " a ", asr #31\n"                                                                 \
    "add.w r1, r1, " b ", asr #31\n"                                                               \
    "smmlar " a ", " a ", r2, lr\n"                                                                \
    "smmlar " b ", " b ", r2, r1\n"                                                                \
    "asr " a ", " a ", r3\n"                                                                       \
    "asr " b ", " b ", r3\n"                                                                       \
    "ssat " a ", #8, " a ", asr #1\n"                                                              \
    "ssat " b ", #8, " b ", asr #1\n"
#define EDGEQ_PAIR_NEXT                                                                            \
    "lsr.w r3, r3, #8\n"                                                                           \
    "ldr r2, [r0], #4\n"

/* Requantises doubled accumulators, stores four outputs of each pixel and goes back to label 2
 * until the rows are done, then to label 7 until the pixels are. Stores right behind a load cost
 * nothing. */
#define EDGEQ_PAIR_LEAVE                                                                           \
    "ldr r12, " EDGEQ_F_ROUNDING "\n"                                                              \
    "ldr.w r2, [r0, #4]\n"                                                                         \
    "ldr r3, [r0], #8\n" EDGEQ_PAIR_ROW("r4", "r8") EDGEQ_PAIR_NEXT EDGEQ_PAIR_ROW("r5", "r9")     \
        EDGEQ_PAIR_NEXT EDGEQ_PAIR_ROW("r6", "r10")                                                \
            EDGEQ_PAIR_NEXT EDGEQ_PAIR_ROW("r7", "r11") "ldr r3, " EDGEQ_F_Y0_END "\n"             \
                                                        "ldr r1, " EDGEQ_F_Y0 "\n"                 \
                                                        "ldr r2, " EDGEQ_F_Y1 "\n"                 \
                                                        "strb r4, [r1], #1\n"                      \
                                                        "strb r8, [r2], #1\n"                      \
                                                        "cmp r1, r3\n"                             \
                                                        "bhi 8f\n"                                 \
                                                        "strb r6, [r1, #1]\n"                      \
                                                        "strb r7, [r1, #2]\n"                      \
                                                        "strb r5, [r1], #3\n"                      \
                                                        "strb r10, [r2, #1]\n"                     \
                                                        "strb r11, [r2, #2]\n"                     \
                                                        "strb r9, [r2], #3\n"                      \
                                                        "9:\n"                                     \
                                                        "str r1, " EDGEQ_F_Y0 "\n"                 \
                                                        "str r2, " EDGEQ_F_Y1 "\n"                 \
                                                        "bne.w 2b\n"                               \
                                                        "ldr r3, " EDGEQ_F_COUNT "\n"              \
                                                        "ldr r5, " EDGEQ_F_PATCH "\n"              \
                                                        "ldr r6, " EDGEQ_F_STEP "\n"               \
                                                        "subs r3, r3, #1\n"                        \
                                                        "str r3, " EDGEQ_F_COUNT "\n"              \
                                                        "add r5, r5, r6\n"                         \
                                                        "str r5, " EDGEQ_F_PATCH "\n"              \
                                                        "bne.w 7b\n"                               \
                                                        "add sp, sp, " EDGEQ_FRAME "\n"            \
                                                        "pop {r4-r11, pc}\n"                       \
                                                        "8:\n"                                     \
                                                        "subs r3, r3, r1\n"                        \
                                                        "adds r3, r3, #2\n"                        \
                                                        "itt ge\n"                                 \
                                                        "strbge r5, [r1], #1\n"                    \
                                                        "strbge r9, [r2], #1\n"                    \
                                                        "itt gt\n"                                 \
                                                        "strbgt r6, [r1], #1\n"                    \
                                                        "strbgt r10, [r2], #1\n"                   \
                                                        "cmp r1, r1\n"                             \
                                                        "b 9b\n"
#else
/* Sums of w * x of the four rows of a block for pixel i; `weight` is at the block. */
typedef void edgeq_pair_sums(const edgeq_pair_job *job, const uint32_t *weight, int32_t i,
                             uint32_t sum[4]);

/* One row of a block for one pixel, as the assembly has it. */
static inline int8_t edgeq_pair_output(uint32_t sum, const uint32_t *parameters, int32_t row,
                                       int32_t rounding) {
    int32_t twice = (int32_t)(2 * sum + parameters[row]);
    uint32_t shift = (parameters[4] >> (8 * row)) & 0xFF;
    int32_t v = edgeq_smmulr(twice, (int32_t)parameters[5 + row]) + (twice >> 31);
    v += (int32_t)((uint32_t)rounding << shift);
    return (int8_t)edgeq_clamp(v >> shift >> 1, -128, 127);
}

/* The twin of a pair kernel, but for the sums. */
static inline void edgeq_pair_twin(edgeq_pair_job job, edgeq_pair_sums *sums, int32_t words) {
    for (; job.count > 0; job.count--) {
        const uint32_t *weight = job.weight;
        for (int32_t r = 0; r < job.rows; r += 4, weight += words + EDGEQ_PARAMETER_WORDS) {
            for (int32_t i = 0; i < 2; i++) {
                uint32_t sum[4] = {0, 0, 0, 0};
                sums(&job, weight, i, sum);
                for (int32_t j = 0; j < 4 && r + j < job.rows; j++) {
                    *job.y[i]++ = edgeq_pair_output(sum[j], weight + words, j, job.rounding);
                }
            }
        }
        job.patch += job.step >> 2;
        job.sums += 2;
    }
}
#endif

/* n bytes; `to` may lie below `from` in the same array. Volatile, or a compiler calls memcpy. */
__attribute__((noinline)) EDGEQ_SMALL static int8_t *edgeq_put_bytes(int8_t *to, const int8_t *from,
                                                                     int32_t n) {
    for (; n >= 4; n -= 4, to += 4, from += 4) {
        uint32_t word = edgeq_load_word(from);
        __builtin_memcpy(to, &word, sizeof word);
    }
    for (; n > 0; n--) {
        *(volatile int8_t *)to++ = *from++;
    }
    return to;
}

__attribute__((noinline)) EDGEQ_SMALL static int8_t *edgeq_put_fill(int8_t *to, int32_t n,
                                                                    int32_t fill) {
    for (; n > 0; n--) {
        *(volatile int8_t *)to++ = (int8_t)fill;
    }
    return to;
}

/* What edgeq_expand makes of two runs of columns: `count` times `groups` groups, and after each
 * time both sources and the target move on by a gap in bytes. */
typedef struct {
    int32_t count;
    int32_t from_gap;
    int32_t to_gap;
    int32_t *sums; /* of the activations of each time, added to */
    int32_t sums_gap;
} edgeq_expansion;

#define EDGEQ_ONES 0x00010001u
#if EDGEQ_DSP_ASM
EDGEQ_AT(edgeq_expansion, count, 0);
EDGEQ_AT(edgeq_expansion, from_gap, 4);
EDGEQ_AT(edgeq_expansion, to_gap, 8);
EDGEQ_AT(edgeq_expansion, sums, 12);
EDGEQ_AT(edgeq_expansion, sums_gap, 16);

#if EDGEQ_CONV_SUMS
#define EDGEQ_SUM_BEGIN                                                                            \
    "ldr r5, [r4, #12]\n"                                                                          \
    "push {r4, r5}\n"                                                                              \
    "mov.w r12, #0x00010001\n"
#define EDGEQ_SUM(sum) "smlad " sum ", r8, r12, " sum "\n"
#define EDGEQ_SUM_CLEAR                                                                            \
    "mov.w r10, #0\n"                                                                              \
    "mov.w r11, #0\n"
#define EDGEQ_EXPAND_NEXT                                                                          \
    "ldr r4, [sp, #0]\n"                                                                           \
    "ldr r5, [sp, #4]\n"                                                                           \
    "ldr r6, [r4, #4]\n"                                                                           \
    "ldr r7, [r4, #8]\n"                                                                           \
    "ldr r4, [r4, #16]\n"                                                                          \
    "ldr r8, [r5, #0]\n"                                                                           \
    "ldr r9, [r5, #4]\n"                                                                           \
    "add r8, r8, r10\n"                                                                            \
    "add r9, r9, r11\n"                                                                            \
    "str r8, [r5, #0]\n"                                                                           \
    "str r9, [r5, #4]\n"                                                                           \
    "adds r5, r5, r4\n"                                                                            \
    "str r5, [sp, #4]\n"                                                                           \
    "adds r0, r0, r6\n"                                                                            \
    "adds r1, r1, r6\n"                                                                            \
    "adds r2, r2, r7\n"
#define EDGEQ_SUM_END "add sp, sp, #8\n"
#else
#define EDGEQ_SUM_BEGIN                                                                            \
    "ldr r10, [r4, #4]\n"                                                                          \
    "ldr r11, [r4, #8]\n"
#define EDGEQ_SUM(sum)  ""
#define EDGEQ_SUM_CLEAR ""
#define EDGEQ_SUM_END   ""
#define EDGEQ_EXPAND_NEXT                                                                          \
    "add r0, r0, r10\n"                                                                            \
    "add r1, r1, r10\n"                                                                            \
    "add r2, r2, r11\n"
#endif
#define EDGEQ_EXTEND(from, turn, sum, to)                                                          \
    "sxtb16 r8, " from turn "\n" EDGEQ_SUM(sum) "str r8, " to "\n"
/* Two groups a turn: four pipelined loads, stores that nothing waits for. */
__attribute__((naked, noinline)) static void
edgeq_expand_words(EDGEQ_UNUSED const int8_t *a, EDGEQ_UNUSED const int8_t *b,
                   EDGEQ_UNUSED uint32_t *to, EDGEQ_UNUSED int32_t groups,
                   EDGEQ_UNUSED const edgeq_expansion *e) {
    __asm__(
        "push {r4-r11, lr}\n"
        "ldr r4, [sp, #36]\n"
        "ldr lr, [r4, #0]\n" EDGEQ_SUM_BEGIN ".balign 4\n"
        "1:\n" EDGEQ_SUM_CLEAR "subs.w r9, r3, #2\n"
        "blt.w 3f\n"
        "2:\n"
        "ldr.w r6, [r0, #4]\n"
        "ldr.w r7, [r1, #4]\n"
        "ldr.w r5, [r1], #8\n"
        "ldr.w r4, [r0], #8\n" EDGEQ_EXTEND("r4", "", "r10", "[r2], #32") EDGEQ_EXTEND(
            "r5", "", "r11", "[r2, #-28]") EDGEQ_EXTEND("r4", ", ror #8", "r10", "[r2, #-24]")
            EDGEQ_EXTEND("r5", ", ror #8", "r11", "[r2, #-20]") EDGEQ_EXTEND(
                "r6", "", "r10", "[r2, #-16]") EDGEQ_EXTEND("r7", "", "r11", "[r2, #-12]")
                EDGEQ_EXTEND("r6", ", ror #8", "r10", "[r2, #-8]") EDGEQ_EXTEND(
                    "r7", ", ror #8", "r11",
                    "[r2, #-4]") "subs.w r9, r9, #2\n"
                                 "bge.w 2b\n"
                                 "3:\n"
                                 "cmp.w r9, #-1\n"
                                 "bne.w 4f\n"
                                 "ldr.w r5, [r1], #4\n"
                                 "ldr.w r4, [r0], #4\n" EDGEQ_EXTEND("r4", "", "r10", "[r2], #16")
                                     EDGEQ_EXTEND("r5", "", "r11", "[r2, #-12]")
                                         EDGEQ_EXTEND("r4", ", ror #8", "r10", "[r2, #-8]")
                                             EDGEQ_EXTEND("r5", ", ror #8", "r11",
                                                          "[r2, #-4]") ".balign 4\n"
                                                                       "4:\n" EDGEQ_EXPAND_NEXT
                                                                       "subs.w lr, lr, #1\n"
                                                                       "bne.w 1b\n" EDGEQ_SUM_END
                                                                       "pop {r4-r11, pc}\n");
}

__attribute__((always_inline)) static inline void edgeq_expand(const int8_t *a, const int8_t *b,
                                                               uint32_t *to, int32_t groups,
                                                               const edgeq_expansion *e) {
    EDGEQ_READS(e);
    edgeq_expand_words(a, b, to, groups, e);
    EDGEQ_READS(e);
}
#else
static inline void edgeq_expand(const int8_t *a, const int8_t *b, uint32_t *to, int32_t groups,
                                const edgeq_expansion *e) {
    for (int32_t i = 0; i < e->count; i++) {
        const int8_t *from[2] = {a + i * (4 * groups + e->from_gap),
                                 b + i * (4 * groups + e->from_gap)};
        for (int32_t j = 0; j < 2 * groups; j++, to += 2) {
            for (int32_t k = 0; k < 2; k++) {
                uint32_t word = edgeq_load_word(from[k] + 4 * (j >> 1));
                to[k] = (j & 1) != 0 ? edgeq_sxtb16_ror8(word) : edgeq_sxtb16(word);
                if (EDGEQ_CONV_SUMS) {
                    int32_t *sum = e->sums + i * (e->sums_gap >> 2) + k;
                    *sum = edgeq_smlad(to[k], EDGEQ_ONES, *sum);
                }
            }
        }
        to += e->to_gap >> 2;
    }
}
#endif

/* One of the two pixels: where its patch begins in the map, its column in the output. */
typedef struct {
    int32_t top;
    int32_t column;
    int8_t *band;    /* rows of the map for its row of the output, with their padding */
    int32_t missing; /* how many of those, the last ones, are still to come */
} edgeq_pixel;

/* The walk over one layer. */
typedef struct {
    const edgeq_window *w;
    const int8_t *x;
    int32_t height; /* of the map */
    int32_t width;
    int32_t columns; /* of the output */
    int32_t pitch;   /* bytes of a band's row, 0 without bands */
    int32_t fill;
    int32_t words; /* from a patch to the next */
    uint32_t *strip;
    int32_t *sums;
    int8_t *spare;
    edgeq_pixel at[2];
} edgeq_walk;

/* Channels in fours: `columns` columns of the map for both pixels. */
__attribute__((noinline)) EDGEQ_SMALL static void edgeq_gather_columns(const edgeq_walk *k,
                                                                       int32_t columns) {
    uint32_t *to = k->strip;
    int32_t channels = k->w->channels;
    int32_t rows = k->w->kernel_height;
    edgeq_expansion e = {1, 0, 4 * (rows - 1) * channels, k->sums, 8};
    for (int32_t i = 0; i < rows; i++, to += channels) {
        uint32_t *next = to;
        e.sums = k->sums;
        for (int32_t c = 0; c < columns; c += e.count) {
            const int8_t *from[2];
            e.count = columns - c;
            for (int32_t p = 0; p < 2; p++) {
                int32_t row = k->at[p].top + i;
                int32_t column = k->at[p].column * k->w->stride_width - k->w->padding_left + c;
                int32_t inside = k->width - column;
                if ((uint32_t)row < (uint32_t)k->height && (uint32_t)column < (uint32_t)k->width) {
                    from[p] = k->x + (row * k->width + column) * channels;
                } else {
                    from[p] = k->spare;
                    inside = 1;
                }
                e.count = e.count < inside ? e.count : inside;
            }
            edgeq_expand(from[0], from[1], next, channels >> 2, &e);
            next += e.count * rows * channels;
            e.sums += 2 * e.count;
        }
    }
}

/* A row of the map with its padding. */
static inline int8_t *edgeq_put_row(const edgeq_walk *k, int8_t *to, int32_t row) {
    int32_t left = k->w->padding_left * k->w->channels;
    left = left < k->pitch ? left : k->pitch;
    int32_t width = k->width * k->w->channels;
    int32_t right = k->pitch - left;
    if ((uint32_t)row < (uint32_t)k->height) {
        width = width < right ? width : right;
        to = edgeq_put_fill(to, left, k->fill);
        to = edgeq_put_bytes(to, k->x + row * k->width * k->w->channels, width);
        left = 0;
        right -= width;
    }
    return edgeq_put_fill(to, left + right, k->fill);
}

/* On to the next row of the output if need be; the band is completed, its last rows moved up if
 * they are still of use. Returns how many pixels are left in the row. */
__attribute__((noinline)) EDGEQ_SMALL static int32_t edgeq_arrive(const edgeq_walk *k,
                                                                  edgeq_pixel *at) {
    int32_t rows = k->w->kernel_height;
    if (at->column == k->columns) {
        at->column = 0;
        at->top += k->w->stride_height;
        at->missing = rows < k->w->stride_height ? rows : k->w->stride_height;
    }
    if (k->pitch > 0 && at->missing > 0) {
        int32_t i = rows - at->missing;
        int8_t *to = edgeq_put_bytes(at->band, at->band + at->missing * k->pitch, i * k->pitch);
        for (; i < rows; i++) {
            to = edgeq_put_row(k, to, at->top + i);
        }
        at->missing = 0;
    }
    return k->columns - at->column;
}

/* `count` pairs of patches from the bands. */
__attribute__((noinline)) EDGEQ_SMALL static void edgeq_gather_patches(const edgeq_walk *k,
                                                                       int32_t count) {
    int32_t stride = k->w->stride_width * k->w->channels;
    int32_t groups = (k->w->kernel_width * k->w->channels + 3) >> 2;
    edgeq_expansion e = {k->w->kernel_height, k->pitch - 4 * groups, 0, k->sums, 0};
    uint32_t *to = k->strip;
    const int8_t *a = k->at[0].band + k->at[0].column * stride;
    const int8_t *b = k->at[1].band + k->at[1].column * stride;
    for (; count > 0; count--, a += stride, b += stride, to += k->words, e.sums += 2) {
        edgeq_expand(a, b, to, groups, &e);
    }
}

/* Inlined into its one caller, and `format` with it. */
static inline void edgeq_conv_2d_dsp(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                     void *scratch, edgeq_conv_format format) {
    const edgeq_window *w = &p->window;
    int32_t out_width = w->output_width;
    int32_t size = w->output_height * out_width;
    edgeq_walk k;
    k.w = w;
    k.x = x;
    k.height = w->input_height;
    k.width = w->input_width;
    k.fill = p->input_zero_point;
    if (w->kernel_height * w->kernel_width * w->stride_height * w->stride_width == 1 &&
        w->output_height == k.height && out_width == k.width) {
        k.height = 1;
        k.width = size;
        out_width = size;
    }
    int32_t half = (size + 1) >> 1;
    /* columns of the map in a patch, and from one patch to the next; one wide column else */
    bool fours = (w->channels & 3) == 0;
    int32_t columns = w->kernel_height * ((w->kernel_width * w->channels + 3) & ~3);
    int32_t padded = (columns + format.group - 1) & ~(format.group - 1);
    int32_t column_words = padded;
    int32_t span = 1;
    int32_t step = 1;
    if (fours) {
        span = w->kernel_width;
        step = w->stride_width;
        column_words = w->kernel_height * w->channels;
    }
    int32_t at_once = 1;
    int32_t most = span;
    while (step <= span && at_once < out_width &&
           (most + step) * column_words <= EDGEQ_STRIP_WORDS) {
        at_once++;
        most += step;
        EDGEQ_STEPS(most);
    }
    k.words = step * column_words;
    k.strip = scratch;
    k.sums = (int32_t *)k.strip + most * column_words;
    if (fours) {
        k.sums += padded - columns;
    }
    k.spare = (int8_t *)(k.sums + (EDGEQ_CONV_SUMS ? 2 * most : 0));
    k.columns = out_width;
    k.pitch = 0;
    if (!fours) {
        k.pitch = ((out_width - 1) * w->stride_width + w->kernel_width) * w->channels;
    }
    (void)edgeq_put_fill(k.spare, w->channels, k.fill);
    k.at[0].top = -w->padding_top;
    k.at[0].column = 0;
    k.at[0].band = k.spare;
    k.at[0].missing = w->kernel_height;
    k.at[1] = k.at[0];
    k.at[1].band += w->kernel_height * k.pitch;
    k.at[1].column = size - half;
    while (k.at[1].column >= out_width) {
        k.at[1].column -= out_width;
        EDGEQ_STEPS(k.at[1].column);
        k.at[1].top += w->stride_height;
    }
    edgeq_pair_job job;
    job.weight = p->weight;
    job.patch = k.strip;
    job.step = 4 * k.words;
    job.rows = p->outputs;
    job.rounding = 2 * p->output_zero_point + 1;
    job.length = 4 * padded;
    job.first = job.length;
    while (job.first > 8 * format.chunk) {
        job.first -= 8 * format.chunk;
        EDGEQ_STEPS(job.first);
    }
    job.skip = format.apart - (job.first >> 3);
    while (job.skip < 0) {
        job.skip += format.unrolled;
        EDGEQ_STEPS(job.skip);
    }
    job.skip = job.skip * format.bytes + 1; /* Thumb code */
    job.first -= job.first < job.length;
    job.sums = k.sums;
    job.y[0] = y;
    job.y[1] = y + (size - half) * p->outputs;
    for (int32_t left = half; left > 0; left -= job.count) {
        job.count = at_once < left ? at_once : left;
        int32_t rest = edgeq_arrive(&k, &k.at[0]);
        job.count = job.count < rest ? job.count : rest;
        rest = edgeq_arrive(&k, &k.at[1]);
        job.count = job.count < rest ? job.count : rest;
        for (int32_t i = 0; EDGEQ_CONV_SUMS && i < 2 * most; i += 2) {
            k.sums[i] = 0;
            k.sums[i + 1] = 0;
        }
        if (fours) {
            edgeq_gather_columns(&k, span + (job.count - 1) * step);
        } else {
            edgeq_gather_patches(&k, job.count);
        }
        /* of columns to those of patches, in place, where they are not the same */
        bool columns_only = EDGEQ_CONV_SUMS && span + step > 2;
        for (int32_t i = 0; columns_only && i < 2 * job.count; i++) {
            const int32_t *from = k.sums + 2 * (i >> 1) * step + (i & 1);
            int32_t sum = 0;
            for (int32_t j = 0; j < span; j++) {
                sum += from[2 * j];
            }
            k.sums[i] = sum;
        }
        EDGEQ_READS(&job);
        format.kernel(&job);
        k.at[0].column += job.count;
        k.at[1].column += job.count;
        job.y[0] += job.count * p->outputs;
        job.y[1] += job.count * p->outputs;
    }
    if (p->activation_max - p->activation_min < 255) {
        for (; y < job.y[1]; y++) {
            *y = (int8_t)edgeq_clamp(*y, p->activation_min, p->activation_max);
        }
    }
}

#endif
