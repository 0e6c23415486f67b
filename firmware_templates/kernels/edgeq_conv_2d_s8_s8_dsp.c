/* Conv2D, 8-bit weights, two rows in a half.
 *
 * Stream: blocks of four rows; in a block, groups of four columns, then the block's parameters; in
 * a group, four words: rows (0, 1) and rows (2, 3) of columns (0, 2), then the same of columns
 * (1, 3). A half of rows (a, b) is w_a + 256 * w_b, the first column in the low half. Rows
 * [1, 2, 3, 4] and [5, -1, 0, 2] give
 *
 *   columns (0, 2): 1 + 256 * 5 = 0x0501, 3 + 256 * 0 = 0x0003   -> 0x00030501
 *   columns (1, 3): 2 - 256 = 0xFF02, 4 + 256 * 2 = 0x0204       -> 0x0204FF02
 *
 * SMLAD of the raw word sums S = A + 256 B (A, B: the sums of rows a and b), SMLAD of its SXTB16
 * sums A, both modulo 2^32: row b is (S - A) >> 8. That is exact while |B| < 2^23. Here
 * |x * w| <= 128 * 127, so 504 columns reach 8,193,024 < 2^23: a longer row is split there, and
 * (S - A) >> 8 is added up over its chunks.
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
/* Doubles the accumulators, those of rows 1 and 3 by `shift`, and adds the biases. */
#define BIAS(shift)                                                                                \
    EDGEQ_PAIR_BIAS                                                                                \
    "add.w r4, r2, r4, lsl #1\n"                                                                   \
    "add r8, r2, r8, lsl #1\n"                                                                     \
    "add.w r5, r3, r5, " shift "\n"                                                                \
    "add r9, r3, r9, " shift "\n"                                                                  \
    "add.w r6, r12, r6, lsl #1\n"                                                                  \
    "add r10, r12, r10, lsl #1\n"                                                                  \
    "add.w r7, lr, r7, " shift "\n"                                                                \
    "add r11, lr, r11, " shift "\n"

/* Even accumulators hold A, odd ones S. */
__attribute__((naked, noinline)) static void kernel(EDGEQ_UNUSED const edgeq_pair_job *job) {
    __asm__(EDGEQ_PAIR_ENTER(EDGEQ_PAIR_CLEAR)
            /* the first pair starts the accumulators */
            ".balign 4\n"
            "2:\n"
            "ldr.w lr, " EDGEQ_F_ENTRY "\n"
            "ldr.w r1, " EDGEQ_F_PATCH "\n"
            "ldr.w r4, [r0, #4]\n"
            "ldr.w r12, [r0], #8\n"
            "ldr.w r3, [r1, #4]\n"
            "ldr.w r2, [r1], #8\n"
            "smuad r5, r12, r2\n"
            "smuad r9, r12, r3\n"
            "sxtb16 r12, r12\n"
            "smuad r7, r4, r2\n"
            "smuad r11, r4, r3\n"
            "sxtb16 r4, r4\n"
            "smuad r6, r4, r2\n"
            "smuad r10, r4, r3\n"
            "smuad r8, r12, r3\n"
            "smuad r4, r12, r2\n"
            "bx lr\n"

            ".balign 4\n"
            "1:\n" EDGEQ_REPEAT(UNROLLED, PAIR)
            /* a chunk that is not the only one ends a byte early */
            EDGEQ_GET_END(
                "r2") "cmp.w r1, r2\n"
                      "blo.w 1b\n" ROW_B_LESS_A "bne.w 4f\n" BIAS(
                          "asr #7") "3:\n" EDGEQ_PAIR_LEAVE
                                    /* the end of one chunk of several: sums of rows 1 and 3 go to
                                       the frame */
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
                                              "ldr r2, " EDGEQ_F_FIRST_END "\n" EDGEQ_PUT_END("r2")
                                                  EDGEQ_PAIR_CLEAR BIAS("lsl #1") "b.w 3b\n");
}
#else
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

static void kernel(const edgeq_pair_job *job) {
    edgeq_pair_twin(*job, sums, job->length >> 2);
}
#endif

EDGEQ_KERNEL EDGEQ_SMALL void edgeq_conv_2d_s8_s8_dsp(const edgeq_conv_2d_params *p,
                                                      const int8_t *x, int8_t *y, void *scratch) {
    edgeq_conv_2d_dsp(p, x, y, scratch,
                      (edgeq_conv_format){kernel, 4, CHUNK_PAIRS, UNROLLED, PAIR_BYTES, 1});
}
