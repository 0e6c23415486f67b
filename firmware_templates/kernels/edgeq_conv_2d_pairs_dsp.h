/* Convolutions on DSP cores: four rows with two pixels, from their parameters to their outputs.
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
 * s <= 22: 2^30 + 1 + 255 * 2^21 < 2^31.
 *
 * Blocks with a channel of a half or more, shifts of 0 and to the left: the bytes are shift - 64,
 * all negative, and so is their word; six bits are the shift. Shifts -9, 0, 3, -1: 0xBFC3C0B7. Such
 * a row's doubled accumulator goes to the left first, |a| < 2^30 >> shift. A layer that has one has
 * one first, and its patches end in the way of those of several chunks, whose code alone looks for
 * such blocks: others pay nothing. With EDGEQ_CONV_OWN_END, patches of one chunk turn off from
 * there to an end of their own.
 */
#ifndef EDGEQ_CONV_2D_PAIRS_DSP_H
#define EDGEQ_CONV_2D_PAIRS_DSP_H

#include "edgeq_dsp.h"
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
    int32_t first;       /* bytes of the first chunk of a patch; less by one if it is not all or a
                          * block has a shift of 0 or to the left, by two for an end of its own */
    int32_t length;      /* bytes of a patch */
    const int32_t *sums; /* of x, two of each pair; where EDGEQ_CONV_SUMS asks for them */
} edgeq_pair_job;

typedef void edgeq_pair_kernel(const edgeq_pair_job *job);

enum { EDGEQ_PARAMETER_WORDS = 9 };

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

/* clang-format off */
/* The rows of a block with a channel whose scale is a half or more, one a turn, the accumulators
 * moving down: 31 cycles for two outputs instead of 12. Twice the product, less 1 where it is
 * negative, is rounded by the 1 of the rounding, after its shift to the right. */
#define EDGEQ_PAIR_ANY_ROWS                                                                        \
    "ldr r12, " EDGEQ_F_ROUNDING "\n"                                                              \
    "mov lr, r3\n"                                                                                 \
    "adds r0, r0, #4\n"                                                                            \
    "12:\n"                                                                                        \
    "ldm r0!, {r2}\n"                                                                              \
    "sbfx r1, lr, #0, #6\n"                                                                        \
    "bic r3, r1, r1, asr #31\n"                                                                    \
    "lsls r4, r4, r3\n"                                                                            \
    "lsl r8, r8, r3\n"                                                                             \
    "subs r3, r3, r1\n"                                                                            \
    "smmulr r4, r4, r2\n"                                                                          \
    "smmulr r8, r8, r2\n"                                                                          \
    "asrs r1, r4, #31\n"                                                                           \
    "add r4, r1, r4, lsl #1\n"                                                                     \
    "asr r1, r8, #31\n"                                                                            \
    "add r8, r1, r8, lsl #1\n"                                                                     \
    "asrs r4, r4, r3\n"                                                                            \
    "asr r8, r8, r3\n"                                                                             \
    "add r4, r4, r12\n"                                                                            \
    "add r8, r8, r12\n"                                                                            \
    "ssat r1, #8, r4, asr #1\n"                                                                    \
    "ssat r2, #8, r8, asr #1\n"                                                                    \
    "mov r4, r5\n mov r5, r6\n mov r6, r7\n mov r7, r1\n"                                          \
    "mov r8, r9\n mov r9, r10\n mov r10, r11\n mov r11, r2\n"                                      \
    "lsrs lr, lr, #8\n"                                                                            \
    "bne 12b\n"                                                                                    \
    "b 11b\n"
/* To label `plain` with a block of right shifts. */
#define EDGEQ_PAIR_LEAVE_ANY(plain)                                                                \
    "ldr r3, [r0, #0]\n"                                                                           \
    "cmp r3, #0\n"                                                                                 \
    "bpl.w " plain "\n" EDGEQ_PAIR_ANY_ROWS

/* Requantises doubled accumulators, stores four outputs of each pixel and goes back to label 2
 * until the rows are done, then to label 7 until the pixels are. Stores right behind a load cost
 * nothing. */
#define EDGEQ_PAIR_LEAVE                                                                           \
    "ldr r12, " EDGEQ_F_ROUNDING "\n"                                                              \
    "ldr.w r2, [r0, #4]\n"                                                                         \
    "ldr r3, [r0], #8\n"                                                                           \
    EDGEQ_PAIR_ROW("r4", "r8") EDGEQ_PAIR_NEXT                                                     \
    EDGEQ_PAIR_ROW("r5", "r9") EDGEQ_PAIR_NEXT                                                     \
    EDGEQ_PAIR_ROW("r6", "r10") EDGEQ_PAIR_NEXT                                                    \
    EDGEQ_PAIR_ROW("r7", "r11")                                                                    \
    "11:\n"                                                                                        \
    "ldr r3, " EDGEQ_F_Y0_END "\n"                                                                 \
    "ldr r1, " EDGEQ_F_Y0 "\n"                                                                     \
    "ldr r2, " EDGEQ_F_Y1 "\n"                                                                     \
    "strb r4, [r1], #1\n"                                                                          \
    "strb r8, [r2], #1\n"                                                                          \
    "cmp r1, r3\n"                                                                                 \
    "bhi 8f\n"                                                                                     \
    "strb r6, [r1, #1]\n"                                                                          \
    "strb r7, [r1, #2]\n"                                                                          \
    "strb r5, [r1], #3\n"                                                                          \
    "strb r10, [r2, #1]\n"                                                                         \
    "strb r11, [r2, #2]\n"                                                                         \
    "strb r9, [r2], #3\n"                                                                          \
    "9:\n"                                                                                         \
    "str r1, " EDGEQ_F_Y0 "\n"                                                                     \
    "str r2, " EDGEQ_F_Y1 "\n"                                                                     \
    "bne.w 2b\n"                                                                                   \
    "ldr r3, " EDGEQ_F_COUNT "\n"                                                                  \
    "ldr r5, " EDGEQ_F_PATCH "\n"                                                                  \
    "ldr r6, " EDGEQ_F_STEP "\n"                                                                   \
    "subs r3, r3, #1\n"                                                                            \
    "str r3, " EDGEQ_F_COUNT "\n"                                                                  \
    "add r5, r5, r6\n"                                                                             \
    "str r5, " EDGEQ_F_PATCH "\n"                                                                  \
    "bne.w 7b\n"                                                                                   \
    "add sp, sp, " EDGEQ_FRAME "\n"                                                                \
    "pop {r4-r11, pc}\n"                                                                           \
    "8:\n"                                                                                         \
    "subs r3, r3, r1\n"                                                                            \
    "adds r3, r3, #2\n"                                                                            \
    "itt ge\n"                                                                                     \
    "strbge r5, [r1], #1\n"                                                                        \
    "strbge r9, [r2], #1\n"                                                                        \
    "itt gt\n"                                                                                     \
    "strbgt r6, [r1], #1\n"                                                                        \
    "strbgt r10, [r2], #1\n"                                                                       \
    "cmp r1, r1\n"                                                                                 \
    "b 9b\n"
/* clang-format on */
#else
/* Sums of w * x of the four rows of a block for pixel i; `weight` is at the block. */
typedef void edgeq_pair_sums(const edgeq_pair_job *job, const uint32_t *weight, int32_t i,
                             uint32_t sum[4]);

/* One row of a block for one pixel, as the assembly has it. */
static inline int8_t edgeq_pair_output(uint32_t sum, const uint32_t *parameters, int32_t row,
                                       int32_t rounding) {
    int32_t twice = (int32_t)(2 * sum + parameters[row]);
    int32_t shift = (int8_t)(uint8_t)(parameters[4] >> (8 * row)); /* less 1, to the right */
    int32_t multiplier = (int32_t)parameters[5 + row];
    if ((int32_t)parameters[4] < 0) {
        int32_t left = shift + 64 > 0 ? shift + 64 : 0;
        int32_t sign = shift + 64 < 0 ? -1 : 0;
        int32_t right = left - (shift + 64);
        twice = (int32_t)((uint32_t)twice << left);
        int32_t v = edgeq_smmulr(twice, multiplier) + (sign & (twice >> 31));
        v += (int32_t)((uint32_t)rounding << right) >> 1;
        return (int8_t)edgeq_clamp(v >> right, -128, 127);
    }
    int32_t v = edgeq_smmulr(twice, multiplier) + (twice >> 31);
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

#endif
