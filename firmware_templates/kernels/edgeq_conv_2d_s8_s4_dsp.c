/* Conv2D, 4-bit weights, four rows in a half.
 *
 * Stream: blocks of four rows; in a block, groups of four columns; in a group, two words: columns
 * (0, 2) and (1, 3), the first column in the low half. A half holds the weights w0..w3 of the four
 * rows, low nibble first:
 *
 *   n0 = w0 + 8    n1 = w1 (two's complement)    n2 = w2 + 8 - (w1 < 0)    n3 = w3 (same as n1)
 *
 * so that its prefixes are sums without borrows: the low nibble w0 + 8; the low byte, signed,
 * w0 + 8 + 16 w1; three nibbles, unsigned, that + 256 (w2 + 8); the signed half, that + 4096 w3.
 * Weights [1], [-2], [3], [-4] of one column: nibbles 9, E, A, C: 0xCAE9.
 *
 * Four SMLADs on the word under AND 0x000F000F, SXTB16, BIC 0xF000F000 and untouched sum the
 * prefixes, modulo 2^32; differences, shifted by 4, 8 and 12, are the rows. Rows 0 and 2 carry 8
 * times the sum of the activations, which is taken off at the end. The shifts are exact while row
 * 1 stays below 2^27 (131,071 columns), row 2 with its offset below 2^23 and row 3 below 2^19.
 * 512 columns reach 512 * 128 * 15 < 2^23 and 512 * 128 * 7 < 2^19: a longer row is split there.
 */
#define EDGEQ_CONV_SUMS 1
#include "edgeq_conv_2d_dsp.h"

#if EDGEQ_DSP_ASM
/* 16 multiplies in 15 cycles. Every instruction takes four bytes, so that the loop can be entered
 * at any pair. */
#define LOADS                                                                                      \
    "ldr.w r3, [r1, #4]\n"                                                                         \
    "ldr.w r2, [r1], #8\n"                                                                         \
    "ldr.w r12, [r0], #4\n"
#define PAIR                                                                                       \
    LOADS                                                                                          \
    "smlad r7, r12, r2, r7\n"                                                                      \
    "smlad r11, r12, r3, r11\n"                                                                    \
    "and lr, r12, #0x000F000F\n"                                                                   \
    "smlad r4, lr, r2, r4\n"                                                                       \
    "smlad r8, lr, r3, r8\n"                                                                       \
    "sxtb16 lr, r12\n"                                                                             \
    "smlad r5, lr, r2, r5\n"                                                                       \
    "smlad r9, lr, r3, r9\n"                                                                       \
    "bic r12, r12, #0xF000F000\n"                                                                  \
    "smlad r6, r12, r2, r6\n"                                                                      \
    "smlad r10, r12, r3, r10\n"
#define DIFFERENCES                                                                                \
    "sub.w r7, r7, r6\n"                                                                           \
    "sub.w r6, r6, r5\n"                                                                           \
    "sub.w r5, r5, r4\n"                                                                           \
    "sub r11, r11, r10\n"                                                                          \
    "sub r10, r10, r9\n"                                                                           \
    "sub r9, r9, r8\n"
/* Rows 0 and 2 of doubled accumulators lose twice eight times the sum. */
#define OFFSETS                                                                                    \
    "ldr.w r2, " EDGEQ_F_SUM0 "\n"                                                                 \
    "ldr.w r3, " EDGEQ_F_SUM1 "\n"                                                                 \
    "sub.w r4, r4, r2, lsl #4\n"                                                                   \
    "sub.w r6, r6, r2, lsl #4\n"                                                                   \
    "sub r8, r8, r3, lsl #4\n"                                                                     \
    "sub r10, r10, r3, lsl #4\n"

enum { PAIR_BYTES = 56, UNROLLED = 8 };

__attribute__((naked, noinline)) static void pair_rows(EDGEQ_PAIR_PARAMETERS) {
    __asm__(EDGEQ_PAIR_ENTER
            /* the first pair starts the accumulators */
            ".balign 4\n"
            "2:\n"
            "ldr.w r1, " EDGEQ_F_PATCH "\n"
            "ldr.w r12, [r0], #4\n"
            "ldr.w r3, [r1, #4]\n"
            "ldr.w r2, [r1], #8\n"
            "smuad r7, r12, r2\n"
            "smuad r11, r12, r3\n"
            "and lr, r12, #0x000F000F\n"
            "smuad r4, lr, r2\n"
            "smuad r8, lr, r3\n"
            "sxtb16 lr, r12\n"
            "smuad r5, lr, r2\n"
            "smuad r9, lr, r3\n"
            "bic r12, r12, #0xF000F000\n"
            "smuad r6, r12, r2\n"
            "smuad r10, r12, r3\n"
            "ldr.w r2, " EDGEQ_F_ENTRY "\n"
            "bx r2\n"
            ".balign 4\n"
            "1:\n" EDGEQ_8_TIMES(PAIR) "ldr r2, " EDGEQ_F_CHUNK_END "\n"
                                       "cmp r1, r2\n"
                                       "blo.w 1b\n"
                                       "bne.w 4f\n" DIFFERENCES EDGEQ_PAIR_BIAS_TWICE
                                       "add.w r4, r2, r4, lsl #1\n"
                                       "add r8, r2, r8, lsl #1\n"
                                       "add.w r5, r3, r5, asr #3\n"
                                       "add r9, r3, r9, asr #3\n"
                                       "add.w r6, r12, r6, asr #7\n"
                                       "add r10, r12, r10, asr #7\n"
                                       "add.w r7, lr, r7, asr #11\n"
                                       "add r11, lr, r11, asr #11\n"
                                       "3:\n" OFFSETS EDGEQ_PAIR_LEAVE
                                       /* the end of one chunk of several: sums of rows 2 and 3 go
                                        * to the frame, and the prefixes start again from row 1's */
                                       "4:\n"
                                       "sub.w r7, r7, r6\n"
                                       "sub.w r6, r6, r5\n"
                                       "sub r11, r11, r10\n"
                                       "sub r10, r10, r9\n"
                                       "ldm sp, {r2, r3, r12, lr}\n"
                                       "add.w r2, r2, r6, asr #8\n"
                                       "add.w r3, r3, r7, asr #12\n"
                                       "add r12, r12, r10, asr #8\n"
                                       "add lr, lr, r11, asr #12\n"
                                       "ldr r6, " EDGEQ_F_END "\n"
                                       "cmp r1, r6\n"
                                       "beq 5f\n"
                                       "stm sp, {r2, r3, r12, lr}\n"
                                       "mov r6, r5\n"
                                       "mov r7, r5\n"
                                       "mov r10, r9\n"
                                       "mov r11, r9\n"
                                       "addw r2, r1, #2047\n"
                                       "str r2, " EDGEQ_F_CHUNK_END "\n"
                                       "b.w 1b\n"
                                       "5:\n"
                                       "mov r6, r2\n"
                                       "mov r7, r3\n"
                                       "mov r10, r12\n"
                                       "mov r11, lr\n"
                                       "sub.w r5, r5, r4\n"
                                       "sub r9, r9, r8\n"
                                       "ldr r2, " EDGEQ_F_FIRST_END "\n"
                                       "str r2, " EDGEQ_F_CHUNK_END
                                       "\n" EDGEQ_PAIR_CLEAR EDGEQ_PAIR_BIAS_TWICE
                                       "add.w r4, r2, r4, lsl #1\n"
                                       "add r8, r2, r8, lsl #1\n"
                                       "add.w r5, r3, r5, asr #3\n"
                                       "add r9, r3, r9, asr #3\n"
                                       "add.w r6, r12, r6, lsl #1\n"
                                       "add r10, r12, r10, lsl #1\n"
                                       "add.w r7, lr, r7, lsl #1\n"
                                       "add r11, lr, r11, lsl #1\n"
                                       "b.w 3b\n");
}

static void kernel(const edgeq_pair_job *job) {
    /* a chunk is whole turns of the loop; the row's first pair is computed apart */
    edgeq_pair_run(pair_rows, job, ((1 - job->pairs) & (UNROLLED - 1)) * PAIR_BYTES);
}
#else
/* The sum by which one prefix exceeds the next shorter one. */
static uint32_t digit(int32_t longer, int32_t shorter, int32_t shift) {
    return (uint32_t)((int32_t)((uint32_t)longer - (uint32_t)shorter) >> shift);
}

static void kernel(const edgeq_pair_job *job) {
    const uint32_t *w = job->weight;
    for (int32_t r = 0; r < job->rows; r += 4, w += job->pairs) {
        for (int32_t i = 0; i < 2; i++) {
            int32_t prefix[4] = {0, 0, 0, 0};
            uint32_t row[4] = {0, 0, 0, 0};
            for (int32_t k = 0; k < job->pairs; k++) {
                uint32_t x = job->patch[2 * k + i];
                prefix[0] = edgeq_smlad(w[k] & 0x000F000Fu, x, prefix[0]);
                prefix[1] = edgeq_smlad(edgeq_sxtb16(w[k]), x, prefix[1]);
                prefix[2] = edgeq_smlad(w[k] & 0x0FFF0FFFu, x, prefix[2]);
                prefix[3] = edgeq_smlad(w[k], x, prefix[3]);
                if ((k + 1) % EDGEQ_CHUNK_PAIRS == 0) {
                    row[2] += digit(prefix[2], prefix[1], 8);
                    row[3] += digit(prefix[3], prefix[2], 12);
                    prefix[2] = prefix[1];
                    prefix[3] = prefix[1];
                }
            }
            uint32_t eight = 8u * (uint32_t)job->sum[i];
            row[0] = (uint32_t)prefix[0] - eight;
            row[1] = digit(prefix[1], prefix[0], 4);
            row[2] += digit(prefix[2], prefix[1], 8) - eight;
            row[3] += digit(prefix[3], prefix[2], 12);
            for (int32_t j = 0; j < 4; j++) {
                job->y[i][r + j] =
                    edgeq_pair_output(row[j] + (uint32_t)job->bias[r + j], job->multiplier[r + j],
                                      job->shift[r + j], job->rounding);
            }
        }
    }
}
#endif

void edgeq_conv_2d_s8_s4_dsp(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                             void *scratch) {
    edgeq_conv_2d_dsp(p, x, y, scratch, (edgeq_conv_format){kernel, 1, 4});
}
