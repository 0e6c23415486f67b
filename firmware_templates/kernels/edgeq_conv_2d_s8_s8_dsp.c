/* Conv2D, 8-bit weights, two rows in a half.
 *
 * Stream: blocks of four rows; in a block, two biases, groups of four columns, then ten more
 * parameters; in a group, four words: rows (0, 1) and rows (2, 3) of columns (0, 2), then the same
 * of columns (1, 3). A half of rows (a, b) is w_a + 256 * w_b, the first column in the low half.
 * Rows [1, 2, 3, 4] and [5, -1, 0, 2] give
 *
 *   columns (0, 2): 1 + 256 * 5 = 0x0501, 3 + 256 * 0 = 0x0003   -> 0x00030501
 *   columns (1, 3): 2 - 256 = 0xFF02, 4 + 256 * 2 = 0x0204       -> 0x0204FF02
 *
 * SMLAD of the raw word sums S = A + 256 B (A, B: the sums of rows a and b), SMLAD of its SXTB16
 * sums A, both modulo 2^32: row b is (S - A) >> 8. That is exact while |B| < 2^23. Here
 * |x * w| <= 128 * 127, so 504 columns reach 8,193,024 < 2^23: a longer row is split there, and
 * (S - A) >> 8 is added up over its chunks.
 *
 * All sums start at the bias of their even row, which S - A is free of: biases of rows 0 and 2
 * stand before the weights. Behind them stand those of rows 1 and 3, then what
 * edgeq_conv_2d_pairs_dsp.h has, but for sums that are not doubled: SMMLAR(a, 2 m - 2^32, a) is
 * SMMULR(2 a, m). So multipliers are doubled, less 2^32; the first of a block with a channel of
 * another shift has 1 in its lowest bit; a multiplier of 0, which has no such form, has the divisor
 * 0. The example there gives 5 0 before the weights, 0xFFFFFFFF 0 0x80000000 (four times) behind
 * them; then the divisors. With the other shifts the first multiplier is 0x80000001.
 */
#define EDGEQ_CONV_SUMS       0
#define EDGEQ_CONV_CELL_WORDS 384
#define EDGEQ_CONV_HALVES     0
#include "edgeq_conv_2d_dsp.h"

/* As many pairs as keep the kernel's code within 3 KB, or short of a small cache; a chunk is whole
 * turns. */
#if EDGEQ_SHORT_LOOPS
#define UNROLLED    11
#define CHUNK_PAIRS 242
#elif defined(__clang__)
#define UNROLLED    14
#define CHUNK_PAIRS 252
#else
#define UNROLLED    16
#define CHUNK_PAIRS 240
#endif
#define CHUNK_LESS_ONE "8 * " EDGEQ_STRING(CHUNK_PAIRS) " - 1"
enum { PAIR_BYTES = 56 };

#if EDGEQ_DSP_ASM
/* 16 multiplies in 15 cycles: four pipelined loads, then nothing waits. Every instruction takes
 * four bytes, so that the loop can be entered at any pair. The post-increment comes last of a
 * base's loads, where it does not break the pipeline. */
#define LOADS                                                                                      \
    "ldr.w lr, [r0, #4]\n"                                                                         \
    "ldr.w r12, [r0], #8\n"                                                                        \
    "ldr.w r3, [r1, #4]\n"                                                                         \
    "ldr.w r2, [r1], #8\n"
#define PAIR                                                                                       \
    LOADS                                                                                          \
    "smlad r5, r12, r2, r5\n"                                                                      \
    "smlad r9, r12, r3, r9\n"                                                                      \
    "sxtb16 r12, r12\n"                                                                            \
    "smlad r7, lr, r2, r7\n"                                                                       \
    "smlad r11, lr, r3, r11\n"                                                                     \
    "sxtb16 lr, lr\n"                                                                              \
    "smlad r4, r12, r2, r4\n"                                                                      \
    "smlad r8, r12, r3, r8\n"                                                                      \
    "smlad r6, lr, r2, r6\n"                                                                       \
    "smlad r10, lr, r3, r10\n"
#define ROW_B_LESS_A                                                                               \
    "sub.w r5, r5, r4\n"                                                                           \
    "sub.w r7, r7, r6\n"                                                                           \
    "sub r9, r9, r8\n"                                                                             \
    "sub r11, r11, r10\n"
/* Adds their biases to rows 1 and 3, which are shifted first; NE for a block with a channel of
 * another shift, as EDGEQ_PAIR_BIAS answers. r3, r12, lr: multipliers of rows 0 to 2. */
#define BIAS(shift)                                                                                \
    "ldm.w r0!, {r1, r2, r3, r12, lr}\n"                                                           \
    "tst.w r3, #1\n"                                                                               \
    "add.w r5, r1, r5" shift "\n"                                                                  \
    "add r9, r1, r9" shift "\n"                                                                    \
    "add.w r7, r2, r7" shift "\n"                                                                  \
    "add r11, r2, r11" shift "\n"
/* clang-format off */
#define SCALE(a, b, multiplier)                                                                    \
    "smmlar " a ", " a ", " multiplier ", " a "\n"                                                 \
    "smmlar " b ", " b ", " multiplier ", " b "\n"
#define SCALE_ANY(a, b)                                                                            \
    "ldr r2, [r0, #16]\n"                                                                          \
    "ldr.w r1, [r0], #4\n"                                                                         \
    "lsls " a ", " a ", r2\n"                                                                      \
    "lsl.w " b ", " b ", r2\n"                                                                     \
    "bic r1, r1, #1\n"                                                                             \
    SCALE(a, b, "r1")                                                                              \
    "asrs r3, " a ", #31\n"                                                                        \
    "asr lr, " b ", #31\n"                                                                         \
    "add.w " a ", r3, " a ", lsl #1\n"                                                             \
    "add.w " b ", lr, " b ", lsl #1\n"
/* EDGEQ_PAIR_LEAVE for accumulators that are not doubled. */
#define LEAVE                                                                                      \
    "bne.w 10f\n"                                                                                  \
    SCALE("r4", "r8", "r3") SCALE("r5", "r9", "r12") SCALE("r6", "r10", "lr")                      \
    "ldr.w r12, " EDGEQ_F_ZERO "\n"                                                                \
    "ldr r2, [r0, #4]\n"                                                                           \
    "ldr r3, [r0, #8]\n"                                                                           \
    "ldr.w lr, [r0, #12]\n"                                                                        \
    "ldr.w r1, [r0], #16\n"                                                                        \
    SCALE("r7", "r11", "r1")                                                                       \
    "12:\n"                                                                                        \
    EDGEQ_PAIR_DIVIDE("r4", "r8", "r2") EDGEQ_PAIR_DIVIDE("r5", "r9", "r3")                        \
    EDGEQ_PAIR_DIVIDE("r6", "r10", "lr")                                                           \
    "ldr.w lr, [r0], #4\n"                                                                         \
    "ldr r3, " EDGEQ_F_Y0_END "\n"                                                                 \
    "ldr r1, " EDGEQ_F_Y0 "\n"                                                                     \
    "ldr r2, " EDGEQ_F_Y1 "\n"                                                                     \
    "strb r4, [r1], #1\n"                                                                          \
    "strb r8, [r2], #1\n"                                                                          \
    EDGEQ_PAIR_DIVIDE("r7", "r11", "lr")                                                           \
    EDGEQ_PAIR_STORE                                                                               \
    "10:\n"                                                                                        \
    "subs r0, #12\n"                                                                               \
    SCALE_ANY("r4", "r8") SCALE_ANY("r5", "r9") SCALE_ANY("r6", "r10") SCALE_ANY("r7", "r11")      \
    "ldr.w r12, " EDGEQ_F_ZERO "\n"                                                                \
    "ldr r3, [r0, #4]\n"                                                                           \
    "ldr.w lr, [r0, #8]\n"                                                                         \
    "ldr.w r2, [r0], #12\n"                                                                        \
    "b.w 12b\n"
/* clang-format on */

/* Even accumulators hold A, odd ones S, all of them the bias of the even row from the start. */
__attribute__((naked, noinline)) static void kernel(EDGEQ_UNUSED const edgeq_pair_job *job) {
    __asm__(EDGEQ_PAIR_ENTER(EDGEQ_PAIR_CLEAR)
            /* the first pair starts the accumulators */
            ".balign 4\n"
            "2:\n"
            "ldr.w lr, " EDGEQ_F_ENTRY "\n"
            "ldr.w r1, " EDGEQ_F_PATCH "\n"
            "ldr.w r10, [r0, #4]\n"
            "ldr.w r12, [r0, #8]\n"
            "ldr.w r4, [r0, #12]\n"
            "ldr.w r8, [r0], #16\n"
            "ldr.w r3, [r1, #4]\n"
            "ldr.w r2, [r1], #8\n"
            "smlad r5, r12, r2, r8\n"
            "smlad r9, r12, r3, r8\n"
            "sxtb16 r12, r12\n"
            "smlad r7, r4, r2, r10\n"
            "smlad r11, r4, r3, r10\n"
            "sxtb16 r4, r4\n"
            "smlad r6, r4, r2, r10\n"
            "smlad r10, r4, r3, r10\n"
            "smlad r4, r12, r2, r8\n"
            "smlad r8, r12, r3, r8\n"
            "bx lr\n"

            ".balign 4\n"
            "1:\n" EDGEQ_REPEAT(UNROLLED, PAIR)
            /* a chunk that is not the only one ends a byte early */
            EDGEQ_GET_END("r2") "cmp.w r1, r2\n"
                                "blo.w 1b\n" ROW_B_LESS_A "bne.w 4f\n" BIAS(
                                    ", asr #8") "3:\n" LEAVE
                                                /* the end of one chunk of several: sums of rows 1
                                                   and 3 go to the frame */
                                                "4:\n"
                                                "ldm sp, {r2, r3, r12, lr}\n"
                                                "add.w r5, r2, r5, asr #8\n"
                                                "add.w r7, r3, r7, asr #8\n"
                                                "add r9, r12, r9, asr #8\n"
                                                "add r11, lr, r11, asr #8\n"
                                                "ldr r2, " EDGEQ_F_LENGTH "\n"
                                                "ldr r3, " EDGEQ_F_PATCH "\n"
                                                "adds r2, r2, r3\n"
                                                "cmp r1, r2\n"
                                                "beq 5f\n"
                                                "stm sp, {r5, r7, r9, r11}\n"
                                                "mov r5, r4\n"
                                                "mov r7, r6\n"
                                                "mov r9, r8\n"
                                                "mov r11, r10\n"
                                                "addw r2, r1, #" CHUNK_LESS_ONE "\n" EDGEQ_PUT_END(
                                                    "r2") "b 1b\n"
                                                          "5:\n"
                                                          "ldr r2, " EDGEQ_F_FIRST_END
                                                          "\n" EDGEQ_PUT_END("r2")
                                                              EDGEQ_PAIR_CLEAR BIAS("") "b.w 3b\n");
}
#else
/* Sums of a block's four rows for pixel i. */
static void sums(const edgeq_pair_job *job, const uint32_t *w, int32_t i, uint32_t sum[4]) {
    for (int32_t half = 0; half < 2; half++) {
        int32_t low = 0;
        int32_t raw = 0;
        for (int32_t k = 0; k < job->length >> 3; k++) {
            uint32_t word = w[2 * k + half];
            raw = edgeq_smlad(word, job->patch[2 * k + i], raw);
            low = edgeq_smlad(edgeq_sxtb16(word), job->patch[2 * k + i], low);
            if ((k + 1) % CHUNK_PAIRS == 0 || k + 1 == job->length >> 3) {
                sum[2 * half + 1] += (uint32_t)((int32_t)((uint32_t)raw - (uint32_t)low) >> 8);
                raw = low;
            }
        }
        sum[2 * half] = (uint32_t)low;
    }
}

/* A block's parameters in the order and form that edgeq_pair_output takes. */
static void take_parameters(const uint32_t *weight, int32_t words, uint32_t *to) {
    const uint32_t *behind = weight + 2 + words;
    for (int32_t row = 0; row < 4; row++) {
        to[row] = 2 * ((row & 1) != 0 ? behind : weight)[row >> 1];
        to[4 + row] = behind[2 + row] >> 1;
        to[8 + row] = behind[6 + row];
    }
    to[0] += behind[2] & 1u;
}

static void kernel(const edgeq_pair_job *all) {
    edgeq_pair_job job = *all;
    int32_t words = job.length >> 2;
    for (; job.count > 0; job.count--, job.patch += job.step >> 2) {
        const uint32_t *weight = job.weight;
        for (int32_t r = 0; r < job.rows; r += 4, weight += words + EDGEQ_PARAMETER_WORDS) {
            uint32_t parameters[EDGEQ_PARAMETER_WORDS];
            take_parameters(weight, words, parameters);
            for (int32_t i = 0; i < 2; i++) {
                uint32_t sum[4] = {0, 0, 0, 0};
                sums(&job, weight + 2, i, sum);
                for (int32_t j = 0; j < 4 && r + j < job.rows; j++) {
                    *job.y[i]++ = edgeq_pair_output(sum[j], parameters, j, job.zero_point);
                }
            }
        }
    }
}
#endif

EDGEQ_KERNEL EDGEQ_SMALL void edgeq_conv_2d_s8_s8_dsp(const edgeq_conv_2d_params *p,
                                                      const int8_t *x, int8_t *y, void *scratch) {
    edgeq_conv_2d_dsp(p, x, y, scratch,
                      (edgeq_conv_format){kernel, 4, CHUNK_PAIRS, UNROLLED, PAIR_BYTES, 1});
}
