/* Conv2D, 8-bit weights, two rows in a half.
 *
 * Stream: blocks of four rows; in a block, groups of four columns; in a group, four words: rows
 * (0, 1) and rows (2, 3) of columns (0, 2), then the same of columns (1, 3). A half of rows (a, b)
 * is w_a + 256 * w_b, the first column in the low half. Rows [1, 2, 3, 4] and [5, -1, 0, 2] give
 *
 *   columns (0, 2): 1 + 256 * 5 = 0x0501, 3 + 256 * 0 = 0x0003   -> 0x00030501
 *   columns (1, 3): 2 - 256 = 0xFF02, 4 + 256 * 2 = 0x0204       -> 0x0204FF02
 *
 * SMLAD of the raw word sums S = A + 256 B (A, B: the sums of rows a and b), SMLAD of its SXTB16
 * sums A, both modulo 2^32: row b is (S - A) >> 8. That is exact while |B| < 2^23. Here
 * |x * w| <= 128 * 127, so 512 columns reach 8,323,072 < 2^23: a longer row is split there, and
 * (S - A) >> 8 is added up over its chunks.
 */
#define EDGEQ_CONV_SUMS 0
#include "edgeq_conv_2d_dsp.h"

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

enum { PAIR_BYTES = 56, UNROLLED = 8 };

/* Even accumulators hold A, odd ones S. */
__attribute__((naked, noinline)) static void pair_rows(EDGEQ_PAIR_PARAMETERS) {
    __asm__(EDGEQ_PAIR_ENTER
            /* the first pair starts the accumulators */
            ".balign 4\n"
            "2:\n"
            "ldr.w r1, " EDGEQ_F_PATCH "\n" LOADS "smuad r5, r12, r2\n"
            "smuad r9, r12, r3\n"
            "sxtb16 r12, r12\n"
            "smuad r7, lr, r2\n"
            "smuad r11, lr, r3\n"
            "sxtb16 lr, lr\n"
            "smuad r4, r12, r2\n"
            "smuad r8, r12, r3\n"
            "smuad r6, lr, r2\n"
            "smuad r10, lr, r3\n"
            "ldr.w r2, " EDGEQ_F_ENTRY "\n"
            "bx r2\n"
            ".balign 4\n"
            "1:\n" EDGEQ_8_TIMES(PAIR)
            /* a chunk that is not the only one ends a byte early */
            "ldr r2, " EDGEQ_F_CHUNK_END "\n"
            "cmp r1, r2\n"
            "blo.w 1b\n"
            "bne.w 4f\n"
            "subs r5, r5, r4\n"
            "subs r7, r7, r6\n"
            "sub r9, r9, r8\n"
            "sub r11, r11, r10\n" EDGEQ_PAIR_BIAS_TWICE "add r4, r2, r4, lsl #1\n"
            "add r8, r2, r8, lsl #1\n"
            "add r5, r3, r5, asr #7\n"
            "add r9, r3, r9, asr #7\n"
            "add r6, r12, r6, lsl #1\n"
            "add r10, r12, r10, lsl #1\n"
            "add r7, lr, r7, asr #7\n"
            "add r11, lr, r11, asr #7\n"
            "3:\n" EDGEQ_PAIR_LEAVE
            /* the end of one chunk of several: sums of rows 1 and 3 go to the frame */
            "4:\n"
            "subs r5, r5, r4\n"
            "subs r7, r7, r6\n"
            "sub r9, r9, r8\n"
            "sub r11, r11, r10\n"
            "ldm sp, {r2, r3, r12, lr}\n"
            "add r2, r2, r5, asr #8\n"
            "add r3, r3, r7, asr #8\n"
            "add r12, r12, r9, asr #8\n"
            "add lr, lr, r11, asr #8\n"
            "ldr r5, " EDGEQ_F_END "\n"
            "cmp r1, r5\n"
            "beq 5f\n"
            "stm sp, {r2, r3, r12, lr}\n"
            "mov r5, r4\n"
            "mov r7, r6\n"
            "mov r9, r8\n"
            "mov r11, r10\n"
            "addw r2, r1, #2047\n"
            "str r2, " EDGEQ_F_CHUNK_END "\n"
            "b.w 1b\n"
            "5:\n"
            "mov r5, r2\n"
            "mov r7, r3\n"
            "mov r9, r12\n"
            "mov r11, lr\n"
            "ldr r2, " EDGEQ_F_FIRST_END "\n"
            "str r2, " EDGEQ_F_CHUNK_END "\n" EDGEQ_PAIR_CLEAR EDGEQ_PAIR_BIAS_TWICE
            "add r4, r2, r4, lsl #1\n"
            "add r8, r2, r8, lsl #1\n"
            "add r5, r3, r5, lsl #1\n"
            "add r9, r3, r9, lsl #1\n"
            "add r6, r12, r6, lsl #1\n"
            "add r10, r12, r10, lsl #1\n"
            "add r7, lr, r7, lsl #1\n"
            "add r11, lr, r11, lsl #1\n"
            "b.w 3b\n");
}

static void kernel(const edgeq_pair_job *job) {
    /* a chunk is whole turns of the loop; the row's first pair is computed apart */
    edgeq_pair_run(pair_rows, job, ((1 - job->pairs) & (UNROLLED - 1)) * PAIR_BYTES);
}
#else
static void kernel(const edgeq_pair_job *job) {
    const uint32_t *w = job->weight;
    for (int32_t r = 0; r < job->rows; r += 4) {
        int32_t low[2][2] = {{0, 0}, {0, 0}};
        uint32_t high[2][2] = {{0, 0}, {0, 0}};
        int32_t raw[2][2] = {{0, 0}, {0, 0}};
        for (int32_t k = 0; k < job->pairs; k++, w += 2) {
            for (int32_t i = 0; i < 4; i++) {
                int32_t *s = &raw[i & 1][i >> 1];
                int32_t *a = &low[i & 1][i >> 1];
                *s = edgeq_smlad(w[i >> 1], job->patch[2 * k + (i & 1)], *s);
                *a = edgeq_smlad(edgeq_sxtb16(w[i >> 1]), job->patch[2 * k + (i & 1)], *a);
                if ((k + 1) % EDGEQ_CHUNK_PAIRS == 0 || k + 1 == job->pairs) {
                    int32_t b = (int32_t)((uint32_t)*s - (uint32_t)*a) >> 8;
                    high[i & 1][i >> 1] += (uint32_t)b;
                    *s = *a;
                }
            }
        }
        for (int32_t i = 0; i < 8; i++) {
            int32_t row = r + (i & 3);
            int32_t pair = (i & 3) >> 1;
            uint32_t sum = (i & 1) ? high[i >> 2][pair] : (uint32_t)low[i >> 2][pair];
            job->y[i >> 2][row] =
                edgeq_pair_output(sum + (uint32_t)job->bias[row], job->multiplier[row],
                                  job->shift[row], job->rounding);
        }
    }
}
#endif

void edgeq_conv_2d_s8_s8_dsp(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                             void *scratch) {
    edgeq_conv_2d_dsp(p, x, y, scratch, (edgeq_conv_format){kernel, 0, 4});
}
