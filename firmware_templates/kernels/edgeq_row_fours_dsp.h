/* Fully connected, 4-bit weights in -7..7: four rows in one half. What the kernels share that take
 * them in chunks of columns; each source says why its chunks are exact.
 *
 * A half of the stream holds one column of four rows: nibbles 0 to 2 are w + 8, nibble 3 is w in
 * two's complement. SMLAD of the raw word, of its lower three nibbles, two, one: each sum contains
 * the next, and differences, shifted by 12, 8 and 4, are the rows. Groups have eight rows (two
 * words a column pair), at the end four (one word).
 *
 * Example, columns of four rows [1 -2 7 -1] and, two columns on, [0 0 0 7]: halves FF69 and 7888,
 * word 7888FF69. Columns 0 and 2 share the first word, 1 and 3 the next.
 *
 * The offset adds 8 sum x to rows 0 to 2 of a half: `less` takes it back. Differences are right
 * modulo 2^32; no bit is lost by the shifts where the row at the top stays below 2^19 in absolute
 * value and the one below, with its offset, below 2^23.
 */
#ifndef EDGEQ_ROW_FOURS_DSP_H
#define EDGEQ_ROW_FOURS_DSP_H

#include "edgeq_fully_connected_dsp.h"
#include "edgeq_kernels_dsp.h"

#if !EDGEQ_DSP_ASM
static inline void edgeq_row_fours(const uint32_t *w, const uint32_t *x, int32_t columns,
                                   const int32_t *from, int32_t *to, int32_t less, int32_t halves) {
    for (int32_t j = 0; j < halves; j++, from += 4, to += 4) {
        int32_t first = edgeq_wrapping_sub(from[0], less);
        int32_t sum[4] = {first, first, first, first};
        for (int32_t k = 0; k < columns >> 1; k++) {
            uint32_t word = w[k * halves + j];
            sum[3] = edgeq_smlad(word, x[k], sum[3]);
            sum[2] = edgeq_smlad(word & 0x0FFF0FFFu, x[k], sum[2]);
            sum[1] = edgeq_smlad(word & 0x00FF00FFu, x[k], sum[1]);
            sum[0] = edgeq_smlad(word & 0x000F000Fu, x[k], sum[0]);
        }
        for (int32_t i = 3; i > 0; i--) {
            int32_t row = edgeq_wrapping_sub(sum[i], sum[i - 1]) >> (4 * i);
            to[i] = edgeq_wrapping_add(edgeq_wrapping_sub(from[i], i < 3 ? less : 0), row);
        }
        to[0] = sum[0];
    }
}
#endif

/* Column pairs of an unrolled turn: the code stays inside a small cache. */
#if EDGEQ_SHORT_LOOPS
#define TURN_WORDS "8"
#else
#define TURN_WORDS "16"
#endif

/* Eight rows. Accumulators: r5, r7, r8, r9 of rows 0 to 3, each with those below; r10, r11, r12, lr
 * of rows 4 to 7. A column pair is three loads in one run; masks shrink the word in place. A turn
 * is 32 or 16 columns, then what is left in blocks of 4. */
static __attribute__((noinline)) void edgeq_eight_rows(const uint32_t *w, const uint32_t *x,
                                                       int32_t columns, const int32_t *from,
                                                       int32_t *to, int32_t less, int32_t groups) {
#if EDGEQ_DSP_ASM
    register const uint32_t *weight __asm__("r0") = w;
    register const uint32_t *activation __asm__("r1") = x;
    register const uint32_t *end __asm__("r2") = x + (columns >> 1);
    register const int32_t *start __asm__("r3") = from;
    register int32_t *sums __asm__("r4") = to;
    register int32_t minus __asm__("r5") = less;
    register int32_t count __asm__("r6") = groups;
    __asm__ volatile("sub     r12, r2, r1\n\t" EDGEQ_KEEP_R9 "sub     r0, r0, #4\n\t"
                     "bic     r12, r12, #4 * " TURN_WORDS " - 1\n\t"
                     "add     r12, r1, r12\n\t"
                     "push    {r7, r12, lr}\n\t"
                     "push    {r1, r2, r3, r4, r5, r6}\n\t"
                     "0:\n\t"
                     "ldr     r7, [r3, #4]\n\t"
                     "ldr     r8, [r3, #8]\n\t"
                     "ldr     r9, [r3, #12]\n\t"
                     "ldr     r10, [r3, #20]\n\t"
                     "ldr     r11, [r3, #24]\n\t"
                     "ldr     r12, [r3, #28]\n\t"
                     "sub     r7, r7, r5\n\t"
                     "sub     r8, r8, r5\n\t"
                     "sub     r10, r10, r5\n\t"
                     "sub     r11, r11, r5\n\t"
                     "str     r7, [r4, #4]\n\t"
                     "str     r8, [r4, #8]\n\t"
                     "str     r9, [r4, #12]\n\t"
                     "str     r10, [r4, #20]\n\t"
                     "str     r11, [r4, #24]\n\t"
                     "str     r12, [r4, #28]\n\t"
                     "ldr     r10, [r3, #16]\n\t"
                     "ldr     r7, [r3]\n\t"
                     "sub     r10, r10, r5\n\t"
                     "sub     r5, r7, r5\n\t"
                     "mov     r7, r5\n\t"
                     "mov     r8, r5\n\t"
                     "mov     r9, r5\n\t"
                     "mov     r11, r10\n\t"
                     "mov     r12, r10\n\t"
                     "mov     lr, r10\n\t"
                     "ldr     r6, [sp, #28]\n\t"
                     "cmp     r1, r6\n\t"
                     "beq     2f\n\t"
                     ".p2align 2\n\t"
                     "1:\n\t"
                     ".rept " TURN_WORDS "\n\t"
                     "ldr.w   r2, [r1], #4\n\t"
                     "ldr.w   r3, [r0, #4]\n\t"
                     "ldr.w   r4, [r0, #8]!\n\t"
                     "smlad   r9, r3, r2, r9\n\t"
                     "bic     r3, r3, #0xF000F000\n\t"
                     "smlad   r8, r3, r2, r8\n\t"
                     "uxtb16  r3, r3\n\t"
                     "smlad   r7, r3, r2, r7\n\t"
                     "and     r3, r3, #0x000F000F\n\t"
                     "smlad   r5, r3, r2, r5\n\t"
                     "smlad   lr, r4, r2, lr\n\t"
                     "bic     r4, r4, #0xF000F000\n\t"
                     "smlad   r12, r4, r2, r12\n\t"
                     "uxtb16  r4, r4\n\t"
                     "smlad   r11, r4, r2, r11\n\t"
                     "and     r4, r4, #0x000F000F\n\t"
                     "smlad   r10, r4, r2, r10\n\t"
                     ".endr\n\t"
                     "cmp     r1, r6\n\t"
                     "bne.w   1b\n\t"
                     "2:\n\t"
                     "ldr     r6, [sp, #4]\n\t"
                     "cmp     r1, r6\n\t"
                     "beq     4f\n\t"
                     ".p2align 2\n\t"
                     "3:\n\t"
                     ".rept 2\n\t"
                     "ldr.w   r2, [r1], #4\n\t"
                     "ldr.w   r3, [r0, #4]\n\t"
                     "ldr.w   r4, [r0, #8]!\n\t"
                     "smlad   r9, r3, r2, r9\n\t"
                     "bic     r3, r3, #0xF000F000\n\t"
                     "smlad   r8, r3, r2, r8\n\t"
                     "uxtb16  r3, r3\n\t"
                     "smlad   r7, r3, r2, r7\n\t"
                     "and     r3, r3, #0x000F000F\n\t"
                     "smlad   r5, r3, r2, r5\n\t"
                     "smlad   lr, r4, r2, lr\n\t"
                     "bic     r4, r4, #0xF000F000\n\t"
                     "smlad   r12, r4, r2, r12\n\t"
                     "uxtb16  r4, r4\n\t"
                     "smlad   r11, r4, r2, r11\n\t"
                     "and     r4, r4, #0x000F000F\n\t"
                     "smlad   r10, r4, r2, r10\n\t"
                     ".endr\n\t"
                     "cmp     r1, r6\n\t"
                     "bne.w   3b\n\t"
                     "4:\n\t"
                     "ldr     r4, [sp, #12]\n\t"
                     "ldr     r1, [r4, #4]\n\t"
                     "ldr     r2, [r4, #8]\n\t"
                     "ldr     r3, [r4, #12]\n\t"
                     "ldr     r6, [r4, #24]\n\t"
                     "sub     r9, r9, r8\n\t"
                     "sub     r8, r8, r7\n\t"
                     "sub     r7, r7, r5\n\t"
                     "sub     lr, lr, r12\n\t"
                     "sub     r12, r12, r11\n\t"
                     "sub     r11, r11, r10\n\t"
                     "add     r1, r1, r7, asr #4\n\t"
                     "add     r2, r2, r8, asr #8\n\t"
                     "add     r3, r3, r9, asr #12\n\t"
                     "ldr     r9, [r4, #20]\n\t"
                     "add     r6, r6, r12, asr #8\n\t"
                     "ldr     r12, [r4, #28]\n\t"
                     "add     r9, r9, r11, asr #4\n\t"
                     "add     r12, r12, lr, asr #12\n\t"
                     "str     r5, [r4]\n\t"
                     "str     r1, [r4, #4]\n\t"
                     "str     r2, [r4, #8]\n\t"
                     "str     r3, [r4, #12]\n\t"
                     "str     r10, [r4, #16]\n\t"
                     "str     r9, [r4, #20]\n\t"
                     "str     r6, [r4, #24]\n\t"
                     "str     r12, [r4, #28]\n\t" EDGEQ_NEXT_GROUP(8)
                     : "+r"(weight), "+r"(activation), "+r"(end), "+r"(start), "+r"(sums),
                       "+r"(minus), "+r"(count)
                     :
                     : "r8", EDGEQ_USES_R9 "r10", "r11", "r12", "cc", "memory");
#else
    for (; groups > 0; groups--, from += 8, to += 8, w += (columns >> 1) * 2) {
        edgeq_row_fours(w, x, columns, from, to, less, 2);
    }
#endif
}

/* Four rows: r5, r7, r8, r9. Four columns are four loads in one run. */
static __attribute__((noinline)) void edgeq_four_rows(const uint32_t *w, const uint32_t *x,
                                                      int32_t columns, const int32_t *from,
                                                      int32_t *to, int32_t less, int32_t count) {
    (void)count;
#if EDGEQ_DSP_ASM
    register const uint32_t *weight __asm__("r0") = w;
    register const uint32_t *activation __asm__("r1") = x;
    register const uint32_t *end __asm__("r2") = x + (columns >> 1);
    register const int32_t *start __asm__("r3") = from;
    register int32_t *sums __asm__("r4") = to;
    register int32_t minus __asm__("r5") = less;
    __asm__ volatile(".syntax unified\n\t" EDGEQ_KEEP_R9 "push    {r2, r4, r7, lr}\n\t"
                     "sub     r0, r0, #4\n\t"
                     "ldr     r7, [r3, #4]\n\t"
                     "ldr     r8, [r3, #8]\n\t"
                     "ldr     r9, [r3, #12]\n\t"
                     "ldr     r6, [r3]\n\t"
                     "sub     r7, r7, r5\n\t"
                     "sub     r8, r8, r5\n\t"
                     "sub     r5, r6, r5\n\t"
                     "str     r7, [r4, #4]\n\t"
                     "str     r8, [r4, #8]\n\t"
                     "str     r9, [r4, #12]\n\t"
                     "mov     r7, r5\n\t"
                     "mov     r8, r5\n\t"
                     "mov     r9, r5\n\t"
                     "ldr     r6, [sp]\n\t"
                     ".p2align 2\n\t"
                     "1:\n\t"
                     "ldr.w   r2, [r1], #4\n\t"
                     "ldr.w   r3, [r0, #4]\n\t"
                     "ldr.w   r4, [r1], #4\n\t"
                     "ldr.w   r10, [r0, #8]!\n\t"
                     "smlad   r9, r3, r2, r9\n\t"
                     "bic     r3, r3, #0xF000F000\n\t"
                     "smlad   r8, r3, r2, r8\n\t"
                     "uxtb16  r3, r3\n\t"
                     "smlad   r7, r3, r2, r7\n\t"
                     "and     r3, r3, #0x000F000F\n\t"
                     "smlad   r5, r3, r2, r5\n\t"
                     "smlad   r9, r10, r4, r9\n\t"
                     "bic     r10, r10, #0xF000F000\n\t"
                     "smlad   r8, r10, r4, r8\n\t"
                     "uxtb16  r10, r10\n\t"
                     "smlad   r7, r10, r4, r7\n\t"
                     "and     r10, r10, #0x000F000F\n\t"
                     "smlad   r5, r10, r4, r5\n\t"
                     "ldr.w   r2, [r1], #4\n\t"
                     "ldr.w   r3, [r0, #4]\n\t"
                     "ldr.w   r4, [r1], #4\n\t"
                     "ldr.w   r10, [r0, #8]!\n\t"
                     "smlad   r9, r3, r2, r9\n\t"
                     "bic     r3, r3, #0xF000F000\n\t"
                     "smlad   r8, r3, r2, r8\n\t"
                     "uxtb16  r3, r3\n\t"
                     "smlad   r7, r3, r2, r7\n\t"
                     "and     r3, r3, #0x000F000F\n\t"
                     "smlad   r5, r3, r2, r5\n\t"
                     "smlad   r9, r10, r4, r9\n\t"
                     "bic     r10, r10, #0xF000F000\n\t"
                     "smlad   r8, r10, r4, r8\n\t"
                     "uxtb16  r10, r10\n\t"
                     "smlad   r7, r10, r4, r7\n\t"
                     "and     r10, r10, #0x000F000F\n\t"
                     "smlad   r5, r10, r4, r5\n\t"
                     "cmp     r1, r6\n\t"
                     "bne.w   1b\n\t"
                     "pop     {r2, r4}\n\t"
                     "ldr     r0, [r4, #4]\n\t"
                     "ldr     r1, [r4, #8]\n\t"
                     "ldr     r2, [r4, #12]\n\t"
                     "sub     r9, r9, r8\n\t"
                     "sub     r8, r8, r7\n\t"
                     "sub     r7, r7, r5\n\t"
                     "add     r0, r0, r7, asr #4\n\t"
                     "add     r1, r1, r8, asr #8\n\t"
                     "add     r2, r2, r9, asr #12\n\t"
                     "str     r5, [r4]\n\t"
                     "str     r0, [r4, #4]\n\t"
                     "str     r1, [r4, #8]\n\t"
                     "str     r2, [r4, #12]\n\t"
                     "pop     {r7, lr}\n\t" EDGEQ_BACK_R9
                     : "+r"(weight), "+r"(activation), "+r"(end), "+r"(start), "+r"(sums),
                       "+r"(minus)
                     :
                     : "r6", "r8", EDGEQ_USES_R9 "r10", "r11", "r12", "cc", "memory");
#else
    edgeq_row_fours(w, x, columns, from, to, less, 1);
#endif
}

/* All outputs, `chunk` columns at a time. */
static inline void edgeq_fully_connected_fours(const edgeq_fully_connected_params *p,
                                               const int8_t *x, int8_t *y, void *scratch,
                                               int32_t chunk) {
    const edgeq_row_group wide = {8, 2, edgeq_eight_rows};
    const edgeq_row_group narrow = {4, 1, edgeq_four_rows};
    edgeq_fully_connected_dsp(p, x, y, scratch, wide, narrow, chunk, 8);
}

#endif
