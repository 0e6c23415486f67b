/* Convolutions on DSP cores: four rows with two pixels, from their parameters to their outputs.
 *
 * Behind the weights of a block stand its parameters, twelve words: four biases, doubled; four
 * times a multiplier and a divisor. The rounding divide of v = SRDHM(a, m) by 2^s, ties away from
 * zero, is SMMLAR with the divisor 2^(32 - s) + 1, as edgeq_depthwise_slide_dsp.h shows for |v| <
 * 2^(32 - s). A larger one may end a step farther from zero, which the saturation takes away: it is
 * 2^(32 - 2 s) or more, 256 and more for s <= 12, and no zero point takes that back into 8 bits.
 *
 * With EDGEQ_CONV_HALVES, v is added where a divisor is negative: -1 for s = 0, 2^31 + 1 less 2^32
 * for s = 1. The sums of ternary weights are often as small as that.
 *
 * A block with a channel of another shift has 1 in the lowest bit of its first bias. Its
 * accumulators go to the left by the low byte of their divisors. Right shifts have the divisor
 * 2^(31 - s), and 2 v less 1 for v < 0 is what it takes: that ends just under a tie. Those of 0 and
 * to the left, by n, have 2^31 - 256 + n, which takes v as it is while |v| < 2^22, beyond which the
 * answer is saturated.
 *
 * Biases 5, -1, 0, 0, shifts -9, -9, -10, -2 and multipliers of 2^30: 0x0000000A 0xFFFFFFFE 0 0
 * 0x40000000 (four times) 0x00800001 0x00800001 0x00400001 0x40000001. With shifts -9, 0, 3, -1 the
 * first word is 0x0000000B and the divisors are 0x00400000 0x7FFFFF00 0x7FFFFF03 0x40000000.
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
    int32_t zero_point;  /* of the output */
    int32_t skip;        /* bytes of the unrolled loop that are left out in its first turn */
    int32_t first;       /* bytes of the first chunk of a patch, less by one if it is not all */
    int32_t length;      /* bytes of a patch */
    const int32_t *sums; /* of x, two of each pair; where EDGEQ_CONV_SUMS asks for them */
} edgeq_pair_job;

typedef void edgeq_pair_kernel(const edgeq_pair_job *job);

enum { EDGEQ_PARAMETER_WORDS = 12 };

#if EDGEQ_DSP_ASM
/* A kernel loads eight words of its job, then four. */
EDGEQ_AT(edgeq_pair_job, weight, 0);
EDGEQ_AT(edgeq_pair_job, patch, 4);
EDGEQ_AT(edgeq_pair_job, step, 8);
EDGEQ_AT(edgeq_pair_job, count, 12);
EDGEQ_AT(edgeq_pair_job, y, 16);
EDGEQ_AT(edgeq_pair_job, rows, 24);
EDGEQ_AT(edgeq_pair_job, zero_point, 28);
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
#define EDGEQ_F_ZERO      "[sp, #60]"
#define EDGEQ_F_ENTRY     "[sp, #64]"
#define EDGEQ_F_FIRST     "[sp, #68]"
#define EDGEQ_F_LENGTH    "[sp, #72]"
#define EDGEQ_F_SUMS      "[sp, #76]"
#define EDGEQ_F_FIRST_END "[sp, #84]"
#define EDGEQ_F_Y0_END    "[sp, #88]"
#define EDGEQ_F_SUM0      "[sp, #92]"
#define EDGEQ_F_SUM1      "[sp, #96]"
#define EDGEQ_FRAME       "#100"

/* The end of the chunk, to and from a register: in s4, as a load would have to be waited for, or
 * in the frame where there is no FPU. */
#if defined(__ARM_PCS_VFP)
#define EDGEQ_PAIR_FPU      ".fpu fpv4-sp-d16\n" /* zig takes this core to have none */
#define EDGEQ_PUT_END(from) "vmov s4, " from "\n"
#define EDGEQ_GET_END(to)   "vmov " to ", s4\n"
#else
#define EDGEQ_PAIR_FPU      ""
#define EDGEQ_PUT_END(from) "str.w " from ", [sp, #80]\n"
#define EDGEQ_GET_END(to)   "ldr.w " to ", [sp, #80]\n"
#endif

#define EDGEQ_STRING_(x)      #x
#define EDGEQ_STRING(x)       EDGEQ_STRING_(x)
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
    EDGEQ_PAIR_FPU "push {r4-r11, lr}\n"                                                           \
                   "sub sp, sp, " EDGEQ_FRAME "\n"                                                 \
                   "add r12, sp, #32\n"                                                            \
                   "ldm r0!, {r1-r8}\n"                                                            \
                   "subs r7, r7, #3\n"                                                             \
                   "stm r12!, {r1-r8}\n"                                                           \
                   "ldm r0, {r1-r4}\n"                                                             \
                   "adr.w r6, 1f\n"                                                                \
                   "add r1, r1, r6\n"                                                              \
                   "stm r12, {r1-r4}\n" clear "7:\n"                                               \
                   "ldr r1, " EDGEQ_F_PATCH "\n"                                                   \
                   "ldr r2, " EDGEQ_F_FIRST "\n"                                                   \
                   "ldr r4, " EDGEQ_F_Y0 "\n"                                                      \
                   "ldr r5, " EDGEQ_F_ROWS "\n"                                                    \
                   "ldr r0, " EDGEQ_F_WEIGHT "\n"                                                  \
                   "adds r2, r2, r1\n"                                                             \
                   "adds r5, r5, r4\n"                                                             \
                   "str r2, " EDGEQ_F_FIRST_END "\n"                                               \
                   "str r5, " EDGEQ_F_Y0_END "\n" EDGEQ_PUT_END("r2")

/* Doubled biases of four rows into r2, r3, r12, lr; NE for a block with a channel of another shift,
 * which the constants alone tell: nothing up to EDGEQ_PAIR_LEAVE may set flags. */
#define EDGEQ_PAIR_BIAS                                                                            \
    "ldm.w r0!, {r2, r3, r12, lr}\n"                                                               \
    "tst.w r2, #1\n"

#define EDGEQ_PAIR_SCALE(a, b, multiplier)                                                         \
    "smmulr " a ", " a ", " multiplier "\n"                                                        \
    "smmulr " b ", " b ", " multiplier "\n"
/* r12 is the zero point. */
#if EDGEQ_CONV_HALVES
#define EDGEQ_PAIR_DIVIDE(a, b, divisor, lsr)                                                      \
    lsr " r3, " divisor ", #31\n"                                                                  \
        "mla lr, " a ", r3, r12\n"                                                                 \
        "smmlar " a ", " a ", " divisor ", lr\n"                                                   \
        "mla lr, " b ", r3, r12\n"                                                                 \
        "smmlar " b ", " b ", " divisor ", lr\n"                                                   \
        "ssat " a ", #8, " a "\n"                                                                  \
        "ssat " b ", #8, " b "\n"
#define EDGEQ_PAIR_DIVIDE_ALL                                                                      \
    "ldr.w r12, " EDGEQ_F_ZERO "\n"                                                                \
    "ldr r2, [r0, #4]\n"                                                                           \
    "ldr.w r1, [r0], #8\n" EDGEQ_PAIR_DIVIDE("r4", "r8", "r1", "lsrs") EDGEQ_PAIR_DIVIDE(          \
        "r5", "r9", "r2", "lsr.w") "ldr r2, [r0, #4]\n"                                            \
                                   "ldr.w r1, [r0], #8\n" EDGEQ_PAIR_DIVIDE("r6", "r10", "r1",     \
                                                                            "lsrs")                \
                                       EDGEQ_PAIR_DIVIDE("r7", "r11", "r2", "lsr.w")
#else
#define EDGEQ_PAIR_DIVIDE(a, b, divisor)                                                           \
    "smmlar " a ", " a ", " divisor ", r12\n"                                                      \
    "smmlar " b ", " b ", " divisor ", r12\n"                                                      \
    "ssat " a ", #8, " a "\n"                                                                      \
    "ssat " b ", #8, " b "\n"
#define EDGEQ_PAIR_DIVIDE_ALL                                                                      \
    "ldr.w r12, " EDGEQ_F_ZERO "\n"                                                                \
    "ldr.w r2, [r0, #4]\n"                                                                         \
    "ldr.w r3, [r0, #8]\n"                                                                         \
    "ldr.w lr, [r0, #12]\n"                                                                        \
    "ldr.w r1, [r0], #16\n" EDGEQ_PAIR_DIVIDE("r4", "r8", "r1")                                    \
        EDGEQ_PAIR_DIVIDE("r5", "r9", "r2") EDGEQ_PAIR_DIVIDE("r6", "r10", "r3")                   \
            EDGEQ_PAIR_DIVIDE("r7", "r11", "lr")
#endif

/* clang-format off */
/* Any shift: 3.25 cycles an output more. */
#define EDGEQ_PAIR_SCALE_ANY(a, b)                                                                 \
    "ldr r2, [r0, #16]\n"                                                                          \
    "ldr.w r1, [r0], #4\n"                                                                         \
    "lsls " a ", " a ", r2\n"                                                                      \
    "lsl.w " b ", " b ", r2\n"                                                                     \
    EDGEQ_PAIR_SCALE(a, b, "r1")                                                                   \
    "asrs r3, " a ", #31\n"                                                                        \
    "asr lr, " b ", #31\n"                                                                         \
    "add.w " a ", r3, " a ", lsl #1\n"                                                             \
    "add.w " b ", lr, " b ", lsl #1\n"

/* Stores what is left of four outputs of each pixel, of which the first ones are stored, and goes
 * back to label 2 until the rows are done, then to label 7 until the pixels are. */
#define EDGEQ_PAIR_STORE                                                                           \
    "cmp r1, r3\n"                                                                                 \
    "bhi 8f\n"                                                                                     \
    "strb r6, [r1, #1]\n"                                                                          \
    "strb r10, [r2, #1]\n"                                                                         \
    "strb r11, [r2, #2]\n"                                                                         \
    "strb r7, [r1, #2]\n"                                                                          \
    "strb r5, [r1], #3\n"                                                                          \
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

/* Requantises doubled accumulators and stores them. Stores right behind a load cost nothing. */
#define EDGEQ_PAIR_LEAVE                                                                           \
    "bne.w 10f\n"                                                                                  \
    "ldm.w r0!, {r1, r2, r3, lr}\n"                                                                \
    EDGEQ_PAIR_SCALE("r4", "r8", "r1") EDGEQ_PAIR_SCALE("r5", "r9", "r2")                          \
    EDGEQ_PAIR_SCALE("r6", "r10", "r3") EDGEQ_PAIR_SCALE("r7", "r11", "lr")                        \
    "12:\n"                                                                                        \
    EDGEQ_PAIR_DIVIDE_ALL                                                                          \
    "ldr r3, " EDGEQ_F_Y0_END "\n"                                                                 \
    "ldr r1, " EDGEQ_F_Y0 "\n"                                                                     \
    "ldr r2, " EDGEQ_F_Y1 "\n"                                                                     \
    "strb r4, [r1], #1\n"                                                                          \
    "strb r8, [r2], #1\n"                                                                          \
    EDGEQ_PAIR_STORE                                                                               \
    "10:\n"                                                                                        \
    "subs r4, r4, #1\n"                                                                            \
    "sub r8, r8, #1\n"                                                                             \
    EDGEQ_PAIR_SCALE_ANY("r4", "r8") EDGEQ_PAIR_SCALE_ANY("r5", "r9")                              \
    EDGEQ_PAIR_SCALE_ANY("r6", "r10") EDGEQ_PAIR_SCALE_ANY("r7", "r11")                            \
    "b.w 12b\n"
/* clang-format on */
#else
/* Sums of w * x of the four rows of a block for pixel i; `weight` is at the block. */
typedef void edgeq_pair_sums(const edgeq_pair_job *job, const uint32_t *weight, int32_t i,
                             uint32_t sum[4]);

/* One row of a block for one pixel, as the assembly has it. */
static inline int8_t edgeq_pair_output(uint32_t sum, const uint32_t *parameters, int32_t row,
                                       int32_t zero_point) {
    uint32_t any = parameters[0] & 1u;
    uint32_t twice = 2 * sum + parameters[row] - (row == 0 ? any : 0u);
    int32_t multiplier = (int32_t)parameters[4 + row];
    int32_t divisor = (int32_t)parameters[8 + row];
    if (any != 0) {
        int32_t v = edgeq_smmulr((int32_t)(twice << (divisor & 0xFF)), multiplier);
        v = edgeq_smmlar(2 * v + (v >> 31), divisor, zero_point);
        return (int8_t)edgeq_clamp(v, -128, 127);
    }
    int32_t v = edgeq_smmulr((int32_t)twice, multiplier);
    int32_t whole = EDGEQ_CONV_HALVES && divisor < 0 ? v : 0;
    v = edgeq_smmlar(v, divisor, whole + zero_point);
    return (int8_t)edgeq_clamp(v, -128, 127);
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
                    *job.y[i]++ = edgeq_pair_output(sum[j], weight + words, j, job.zero_point);
                }
            }
        }
        job.patch += job.step >> 2;
        job.sums += 2;
    }
}
#endif

#endif
