/* FullyConnected with a scale a block, 4-bit weights: four rows in one half.
 *
 * Stream, see edgeq_block_dsp.h: for each pair of columns (0 and 2 of every four, then 1 and 3) a
 * word of rows 0 to 3 and one of rows 4 to 7; behind a block two words, a byte of scale a row. A
 * half holds the weights w0..w3 of four rows as in edgeq_conv_2d_s8_s4_dsp.c, low nibble first:
 *
 *   n0 = w0 + 8    n1 = w1 (two's complement)    n2 = w2 + 8 - (w1 < 0)    n3 = w3 (same as n1)
 *
 * whose prefixes (AND 0x000F000F, SXTB16, BIC 0xF000F000, the raw word) sum without borrows. The
 * first two begin with -8 times the block's sum of activations, the others with -8 * 257 times it,
 * which takes the offsets of rows 0 and 2 back; differences, shifted by 4, 8 and 12, are the rows.
 * Exact: in a block of 128 columns row 3 has |sum| <= 128 * 7 * 128 < 2^19, and so on down.
 *
 * Example, scales of [1 2 3 4] and [5 6 7 8]: words 04030201 and 08070605.
 */
#define EDGEQ_BLOCK_STARTS 2
#define EDGEQ_BLOCK_MOST   128
#include "edgeq_block_dsp.h"

static inline void edgeq_fours_start(int32_t sum, uint32_t *to) {
    to[0] = (uint32_t)(-8 * sum);
    to[1] = (uint32_t)(-8 * 257 * sum);
}

/* Eight rows: their products, block by block, times their scales, on top of acc. */
#if EDGEQ_DSP_ASM
#if EDGEQ_SHORT_LOOPS
#define TURN_WORDS "8"
#else
#define TURN_WORDS "16"
#endif
/* clang-format off */
/* A row's sum times its scale, on top of acc. The row before is stored behind the loads, which hides
 * their data phase. `scale`: how its byte is addressed, the fifth moves r0 on. */
#define SCALED(sum, place, scale, before)                                                          \
    "ldr.w   r3, [r4, #" place "]\n\t"                                                             \
    "ldrb.w  r6, [r0, #" scale "\n\t"                                                              \
    before                                                                                         \
    "mla     " sum ", " sum ", r6, r3\n\t"
#define STORED(sum, place)                                                                         \
    "str.w   " sum ", [r4, #" place "]\n\t"
#define SCALE_EIGHT                                                                                \
    "ldr     r4, [sp, #8]\n\t"                                                                     \
    SCALED("r5", "0", "4]", "")                                                                    \
    SCALED("r7", "4", "5]", STORED("r5", "0"))                                                     \
    SCALED("r8", "8", "6]", STORED("r7", "4"))                                                     \
    SCALED("r9", "12", "7]", STORED("r8", "8"))                                                    \
    SCALED("r10", "16", "8]!", STORED("r9", "12"))                                                 \
    SCALED("r11", "20", "1]", STORED("r10", "16"))                                                 \
    SCALED("r12", "24", "2]", STORED("r11", "20"))                                                 \
    SCALED("lr", "28", "3]", STORED("r12", "24"))                                                  \
    "ldr     r3, [sp]\n\t"                                                                         \
    STORED("lr", "28")

/* Accumulators: r5, r7, r8, r9 of rows 0 to 3, each with those below; r10, r11, r12, lr of rows 4
 * to 7. On the stack: the end of all activations, bytes of a block, acc. */
static __attribute__((noinline)) const uint32_t *edgeq_block_eight(const uint32_t *w,
                                                                   const edgeq_block_cell *cell) {
    register const uint32_t *weight __asm__("r0") = w;
    register const edgeq_block_cell *given __asm__("r1") = cell;
    __asm__ volatile(
        EDGEQ_KEEP_R9
        "push    {r7, lr}\n\t"
        "ldr     r2, [r1, #4]\n\t"
        "ldr     r3, [r1, #8]\n\t"
        "ldr     r4, [r1, #12]\n\t"
        "ldr     r1, [r1]\n\t"
        "sub     r0, r0, #4\n\t"
        "push    {r2, r3, r4}\n\t"
        "0:\n\t"
        "ldr.w   r5, [r1], #4\n\t"
        "ldr.w   r8, [r1], #4\n\t"
        "ldr     r3, [sp]\n\t"
        "ldr     r2, [sp, #4]\n\t"
        "mov     r7, r5\n\t"
        "mov     r9, r8\n\t"
        "mov     r10, r5\n\t"
        "mov     r11, r5\n\t"
        "mov     r12, r8\n\t"
        "mov     lr, r8\n\t"
        "add     r6, r1, r2\n\t"
        "cmp     r6, r3\n\t"
        "it      hi\n\t"
        "movhi   r6, r3\n\t"
        ".p2align 2\n\t"
        "1:\n\t"
        ".rept " TURN_WORDS "\n\t"
        "ldr.w   r2, [r1], #4\n\t"
        "ldr.w   r3, [r0, #4]\n\t"
        "ldr.w   r4, [r0, #8]!\n\t"
        "smlad   r9, r3, r2, r9\n\t"
        "bic     r3, r3, #0xF000F000\n\t"
        "smlad   r8, r3, r2, r8\n\t"
        "sxtb16 r3, r3\n\t"
        "smlad   r7, r3, r2, r7\n\t"
        "and     r3, r3, #0x000F000F\n\t"
        "smlad   r5, r3, r2, r5\n\t"
        "smlad   lr, r4, r2, lr\n\t"
        "bic     r4, r4, #0xF000F000\n\t"
        "smlad   r12, r4, r2, r12\n\t"
        "sxtb16 r4, r4\n\t"
        "smlad   r11, r4, r2, r11\n\t"
        "and     r4, r4, #0x000F000F\n\t"
        "smlad   r10, r4, r2, r10\n\t"
        ".endr\n\t"
        "cmp     r1, r6\n\t"
        "bne.w   1b\n\t"
        "sub     r9, r9, r8\n\t"
        "sub     r8, r8, r7\n\t"
        "sub     r7, r7, r5\n\t"
        "sub     lr, lr, r12\n\t"
        "sub     r12, r12, r11\n\t"
        "sub     r11, r11, r10\n\t"
        "asr     r7, r7, #4\n\t"
        "asr     r8, r8, #8\n\t"
        "asr     r9, r9, #12\n\t"
        "asr     r11, r11, #4\n\t"
        "asr     r12, r12, #8\n\t"
        "asr     lr, lr, #12\n\t"
        SCALE_EIGHT
        "cmp     r1, r3\n\t"
        "bne.w   0b\n\t"
        "add     r0, r0, #4\n\t"
        "add     sp, sp, #12\n\t"
        "pop     {r7, lr}\n\t" EDGEQ_BACK_R9
        : "+r"(weight), "+r"(given)
        :
        : "r2", "r3", "r4", "r5", "r6", "r8", EDGEQ_USES_R9 "r10", "r11", "r12", "cc", "memory");
    return weight;
}
/* clang-format on */
#else
static const uint32_t *edgeq_block_eight(const uint32_t *w, const edgeq_block_cell *cell) {
    const uint32_t *x = cell->x;
    int32_t *acc = cell->acc;
    while (x != cell->end) {
        int32_t sum[2][4];
        for (int32_t half = 0; half < 2; half++) {
            sum[half][0] = sum[half][1] = (int32_t)x[0];
            sum[half][2] = sum[half][3] = (int32_t)x[1];
        }
        x += EDGEQ_BLOCK_STARTS;
        const uint32_t *last = x + (cell->bytes >> 2);
        last = last > cell->end ? cell->end : last;
        for (; x != last; x++) {
            for (int32_t half = 0; half < 2; half++) {
                uint32_t word = *w++;
                sum[half][3] = edgeq_smlad(word, *x, sum[half][3]);
                sum[half][2] = edgeq_smlad(word & 0x0FFF0FFFu, *x, sum[half][2]);
                sum[half][1] = edgeq_smlad(edgeq_sxtb16(word), *x, sum[half][1]);
                sum[half][0] = edgeq_smlad(word & 0x000F000Fu, *x, sum[half][0]);
            }
        }
        for (int32_t i = 0; i < 8; i++) {
            const int32_t *of = sum[i >> 2];
            int32_t row = i & 3;
            int32_t below = row > 0 ? of[row - 1] : 0;
            int32_t made = edgeq_wrapping_sub(of[row], below) >> (4 * row);
            made *= (int32_t)((w[i >> 2] >> (8 * row)) & 0xFF);
            acc[i] = edgeq_wrapping_add(acc[i], made);
        }
        w += 2;
    }
    return w;
}
#endif

EDGEQ_KERNEL void edgeq_block_fully_connected_s8_s4_dsp(const edgeq_block_fully_connected_params *p,
                                                        const int8_t *x, int8_t *y, void *scratch) {
    edgeq_block_fully_connected_dsp(p, x, y, scratch, edgeq_block_eight, edgeq_fours_start);
}
