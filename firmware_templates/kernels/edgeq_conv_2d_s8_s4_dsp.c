/* Conv2D, 4-bit weights, four rows in a half.
 *
 * Stream: blocks of four rows; in a block, groups of four columns, then the block's parameters; in
 * a group, two words: columns (0, 2) and (1, 3), the first column in the low half. A half holds the
 * weights w0..w3 of the four rows, low nibble first:
 *
 *   n0 = w0 + 8    n1 = w1 (two's complement)    n2 = w2 + 8 - (w1 < 0)    n3 = w3 (same as n1)
 *
 * so that its prefixes are sums without borrows: the low nibble w0 + 8; the low byte, signed,
 * w0 + 8 + 16 w1; three nibbles, unsigned, that + 256 (w2 + 8); the signed half, that + 4096 w3.
 * Weights [1], [-2], [3], [-4] of one column: nibbles 9, E, A, C: 0xCAE9.
 *
 * Four SMLADs on the word under AND 0x000F000F, SXTB16, BIC 0xF000F000 and untouched sum the
 * prefixes, modulo 2^32; differences, shifted by 4, 8 and 12, are the rows. Rows 0 and 2 carry 8
 * times the sum of the activations: the prefixes begin with -8 times and -8 * 257 times that sum,
 * so that it is gone. The shifts are exact while row 1 stays below 2^27 (131,071 columns), row 2
 * below 2^23 and row 3 below 2^19. 506 columns reach 506 * 128 * 8 < 2^19: a longer row is split
 * there. Then all prefixes begin with -8 times the sum, and row 2 loses its own at the end: with
 * the offset 506 columns of it reach 506 * 128 * 15 < 2^23.
 */
#define EDGEQ_CONV_SUMS       1
#define EDGEQ_CONV_CELL_WORDS 1024
#define EDGEQ_CONV_HALVES     0
#include "edgeq_conv_2d_dsp.h"

/* As many pairs as keep the kernel's code within 3 KB, or short of a small cache; a chunk is whole
 * turns. */
#if EDGEQ_SHORT_LOOPS || defined(__clang__)
#define UNROLLED    9
#define CHUNK_PAIRS 252
#else
#define UNROLLED    11
#define CHUNK_PAIRS 253
#endif
#define CHUNK_LESS_ONE "8 * " EDGEQ_STRING(CHUNK_PAIRS) " - 1"
enum { PAIR_BYTES = 56 };

#if EDGEQ_DSP_ASM
/* 16 multiplies in 15 cycles. Every instruction takes four bytes, so that the loop can be entered
 * at any pair. Each mask keeps what the shorter prefixes need, so that it may overwrite the word:
 * lr is free for the end of the chunk, which the last pair of a turn loads with its operands. */
#define LOADS                                                                                      \
    "ldr.w r3, [r1, #4]\n"                                                                         \
    "ldr.w r2, [r1], #8\n"                                                                         \
    "ldr.w r12, [r0], #4\n"
#define PREFIXES                                                                                   \
    "smlad r7, r12, r2, r7\n"                                                                      \
    "smlad r11, r12, r3, r11\n"                                                                    \
    "bic r12, r12, #0xF000F000\n"                                                                  \
    "smlad r6, r12, r2, r6\n"                                                                      \
    "smlad r10, r12, r3, r10\n"                                                                    \
    "sxtb16 r12, r12\n"                                                                            \
    "smlad r5, r12, r2, r5\n"                                                                      \
    "smlad r9, r12, r3, r9\n"                                                                      \
    "and r12, r12, #0x000F000F\n"                                                                  \
    "smlad r4, r12, r2, r4\n"                                                                      \
    "smlad r8, r12, r3, r8\n"
#define PAIR      LOADS PREFIXES
#define LAST_PAIR LOADS EDGEQ_GET_END("lr") PREFIXES
/* Rows 2 and 3 times 256 and 4096, row 1 as it is. */
#define HIGH_DIFFERENCES                                                                           \
    "sub.w r7, r7, r6\n"                                                                           \
    "sub.w r6, r6, r5\n"                                                                           \
    "sub r11, r11, r10\n"                                                                          \
    "sub r10, r10, r9\n"
#define LOW_DIFFERENCE                                                                             \
    "sub.w r5, r5, r4\n"                                                                           \
    "sub r9, r9, r8\n"
/* Doubles the accumulators, those of rows 2 and 3 by shifts, and adds the biases. */
#define BIAS(shift2, shift3)                                                                       \
    EDGEQ_PAIR_BIAS                                                                                \
    "add.w r4, r2, r4, lsl #1\n"                                                                   \
    "add r8, r2, r8, lsl #1\n"                                                                     \
    "add.w r5, r3, r5, asr #3\n"                                                                   \
    "add r9, r3, r9, asr #3\n"                                                                     \
    "add.w r6, r12, r6, " shift2 "\n"                                                              \
    "add r10, r12, r10, " shift2 "\n"                                                              \
    "add.w r7, lr, r7, " shift3 "\n"                                                               \
    "add r11, lr, r11, " shift3 "\n"

/* What the prefixes begin with is in the frame from 16 on, two words a pixel. */
__attribute__((naked, noinline)) static void kernel(EDGEQ_UNUSED const edgeq_pair_job *job) {
    __asm__(EDGEQ_PAIR_ENTER(EDGEQ_PAIR_CLEAR) "ldr r1, " EDGEQ_F_SUMS "\n"
                                               "ldr r6, " EDGEQ_F_FIRST "\n"
                                               "ldr r7, " EDGEQ_F_LENGTH "\n"
                                               "ldm r1!, {r2, r4}\n"
                                               "movs r3, #0\n"
                                               "sub.w r2, r3, r2, lsl #3\n"
                                               "sub.w r4, r3, r4, lsl #3\n"
                                               "str r1, " EDGEQ_F_SUMS "\n"
                                               "mov r3, r2\n"
                                               "mov r5, r4\n"
                                               "cmp.w r6, r7\n"
                                               "itt eq\n"
                                               "addeq.w r3, r2, r2, lsl #8\n"
                                               "addeq.w r5, r4, r4, lsl #8\n"
                                               "add r6, sp, #16\n"
                                               "stm r6!, {r2-r5}\n"
                                               /* the first pair starts the accumulators */
                                               ".balign 4\n"
                                               "2:\n"
                                               "ldr.w r5, [sp, #16]\n"
                                               "ldr.w r7, [sp, #20]\n"
                                               "ldr.w r9, [sp, #24]\n"
                                               "ldr.w r11, [sp, #28]\n"
                                               "ldr.w lr, " EDGEQ_F_ENTRY "\n"
                                               "ldr.w r1, " EDGEQ_F_PATCH "\n"
                                               "ldr.w r12, [r0], #4\n"
                                               "ldr.w r3, [r1, #4]\n"
                                               "ldr.w r2, [r1], #8\n"
                                               "and r4, r12, #0x000F000F\n"
                                               "smlad r8, r4, r3, r9\n"
                                               "smlad r4, r4, r2, r5\n"
                                               "sxtb16 r10, r12\n"
                                               "smlad r5, r10, r2, r5\n"
                                               "smlad r9, r10, r3, r9\n"
                                               "bic r10, r12, #0xF000F000\n"
                                               "smlad r6, r10, r2, r7\n"
                                               "smlad r10, r10, r3, r11\n"
                                               "smlad r7, r12, r2, r7\n"
                                               "smlad r11, r12, r3, r11\n"
                                               "bx lr\n"

                                               ".balign 4\n"
                                               "1:\n" EDGEQ_REPEAT(UNROLLED - 1, PAIR) LAST_PAIR
            /* a chunk that is not the only one ends a byte early */
            "cmp.w r1, lr\n"
            "blo.w 1b\n" HIGH_DIFFERENCES "bne.w 4f\n" LOW_DIFFERENCE BIAS(
                "asr #7", "asr #11") "3:\n" EDGEQ_PAIR_LEAVE
                                     /* the end of one chunk of several: sums of rows
                                      * 2 and 3 go to the frame, and the prefixes
                                      * start again from row 1's */
                                     "4:\n"
                                     "ldm sp, {r2, r3, r12, lr}\n"
                                     "add.w r6, r2, r6, asr #8\n"
                                     "add.w r7, r3, r7, asr #12\n"
                                     "add r10, r12, r10, asr #8\n"
                                     "add r11, lr, r11, asr #12\n"
                                     "ldr r2, " EDGEQ_F_LENGTH "\n"
                                     "ldr r3, " EDGEQ_F_PATCH "\n"
                                     "adds r2, r2, r3\n"
                                     "cmp r1, r2\n"
                                     "beq 5f\n"
                                     "stm sp, {r6, r7, r10, r11}\n"
                                     "mov r6, r5\n"
                                     "mov r7, r5\n"
                                     "mov r10, r9\n"
                                     "mov r11, r9\n"
                                     "addw r2, r1, #" CHUNK_LESS_ONE "\n" EDGEQ_PUT_END(
                                         "r2") "b.w 1b\n"
                                               "5:\n"
                                               "ldr r2, [sp, #16]\n"
                                               "ldr r3, [sp, #24]\n"
                                               "add r6, r6, r2\n"
                                               "add r10, r10, r3\n" LOW_DIFFERENCE
                                               "ldr r2, " EDGEQ_F_FIRST_END "\n" EDGEQ_PUT_END("r2")
                                                   EDGEQ_PAIR_CLEAR BIAS("lsl #1",
                                                                         "lsl #1") "b.w 3b\n");
}
#else
/* The sum by which one prefix exceeds the next shorter one. */
static uint32_t digit(int32_t longer, int32_t shorter, int32_t shift) {
    return (uint32_t)((int32_t)((uint32_t)longer - (uint32_t)shorter) >> shift);
}

static void sums(const edgeq_pair_job *job, const uint32_t *w, int32_t i, uint32_t sum[4]) {
    int32_t prefix[4] = {0, 0, 0, 0};
    for (int32_t k = 0; k < job->length >> 3; k++) {
        uint32_t x = job->patch[2 * k + i];
        prefix[0] = edgeq_smlad(w[k] & 0x000F000Fu, x, prefix[0]);
        prefix[1] = edgeq_smlad(edgeq_sxtb16(w[k]), x, prefix[1]);
        prefix[2] = edgeq_smlad(w[k] & 0x0FFF0FFFu, x, prefix[2]);
        prefix[3] = edgeq_smlad(w[k], x, prefix[3]);
        if ((k + 1) % CHUNK_PAIRS == 0 || k + 1 == job->length >> 3) {
            sum[2] += digit(prefix[2], prefix[1], 8);
            sum[3] += digit(prefix[3], prefix[2], 12);
            prefix[2] = prefix[1];
            prefix[3] = prefix[1];
        }
    }
    uint32_t offset = 8 * (uint32_t)job->sums[i];
    sum[0] = (uint32_t)prefix[0] - offset;
    sum[1] = digit(prefix[1], prefix[0], 4);
    sum[2] -= offset;
}

static void kernel(const edgeq_pair_job *job) {
    edgeq_pair_twin(*job, sums, job->length >> 3);
}
#endif

EDGEQ_KERNEL EDGEQ_SMALL void edgeq_conv_2d_s8_s4_dsp(const edgeq_conv_2d_params *p,
                                                      const int8_t *x, int8_t *y, void *scratch) {
    edgeq_conv_2d_dsp(p, x, y, scratch,
                      (edgeq_conv_format){kernel, 4, CHUNK_PAIRS, UNROLLED, PAIR_BYTES, 1});
}
