/* FullyConnected, int8 activations and 8-bit weights in -127..127: two rows in one multiply.
 *
 * A half of the stream is a + 256 b for the weights a and b of two rows in one column, so a word is
 * two rows by two columns. SMLAD of the raw word adds a x + 256 b x; SXTB16 leaves a, and a second
 * SMLAD adds a x alone. Groups have six rows (three words a column pair), at the end two (one
 * word).
 *
 * Example, rows 0 and 1 of four columns: [1 2 3 4] and [-1 0 5 -2]. Halves: FF01 0002 0503 FE04.
 * Columns 0 and 2, then 1 and 3 share a word: 0503FF01, FE040002 (with six rows two more words for
 * rows 2 to 5 stand behind each).
 *
 * Exact: row b is (raw - low) >> 8, and the difference is 256 sum b x modulo 2^32. Within a chunk
 * of 512 columns |sum b x| <= 512 * 127 * 128 < 2^23, so no bit is lost whatever the data; chunks
 * add.
 */
#include "edgeq_fully_connected_dsp.h"
#include "edgeq_kernels_dsp.h"

static inline void edgeq_row_pairs(const uint32_t *w, const uint32_t *x, int32_t columns,
                                   const int32_t *from, int32_t *to, int32_t pairs) {
    const uint32_t *end = x + (columns >> 1);
    for (int32_t j = 0; j < pairs; j++, from += 2, to += 2) {
        const uint32_t *word = w + j;
        const uint32_t *half = x;
        int32_t low = from[0];
        int32_t both = low;
        for (; half != end; half += 4, word += 4 * pairs) {
            uint32_t a = word[0];
            uint32_t b = word[pairs];
            uint32_t c = word[2 * pairs];
            uint32_t d = word[3 * pairs];
            both = edgeq_smlad(a, half[0], both);
            both = edgeq_smlad(b, half[1], both);
            both = edgeq_smlad(c, half[2], both);
            both = edgeq_smlad(d, half[3], both);
            low = edgeq_smlad(edgeq_sxtb16(a), half[0], low);
            low = edgeq_smlad(edgeq_sxtb16(b), half[1], low);
            low = edgeq_smlad(edgeq_sxtb16(c), half[2], low);
            low = edgeq_smlad(edgeq_sxtb16(d), half[3], low);
        }
        to[0] = low;
        to[1] = edgeq_wrapping_add(from[1], edgeq_wrapping_sub(both, low) >> 8);
    }
}

static void edgeq_two_rows(const uint32_t *w, const uint32_t *x, int32_t columns,
                           const int32_t *from, int32_t *to, int32_t less, int32_t count) {
    (void)less;
    (void)count;
    edgeq_row_pairs(w, x, columns, from, to, 1);
}

/* Six rows. Accumulators: r7, r9, r11 of rows 0, 2, 4, r8, r10, r12 with the row above on top. A
 * turn is 32 columns, then what is left in blocks of 8. Eight columns are 16 loads in three runs,
 * as long as the six free registers allow: a run costs one cycle on top. */
static __attribute__((noinline)) void edgeq_six_rows(const uint32_t *w, const uint32_t *x,
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
                     "bic     r12, r12, #63\n\t"
                     "add     r12, r1, r12\n\t"
                     "push    {r7, r12, lr}\n\t"
                     "push    {r1, r2, r3, r4, r5, r6}\n\t"
                     "0:\n\t"
                     "ldr     r7, [r3]\n\t"
                     "ldr     r9, [r3, #8]\n\t"
                     "ldr     r11, [r3, #16]\n\t"
                     "ldr     r2, [r3, #4]\n\t"
                     "ldr     r5, [r3, #12]\n\t"
                     "ldr     r6, [r3, #20]\n\t"
                     "str     r2, [r4, #4]\n\t"
                     "str     r5, [r4, #12]\n\t"
                     "str     r6, [r4, #20]\n\t"
                     "mov     r8, r7\n\t"
                     "mov     r10, r9\n\t"
                     "mov     r12, r11\n\t"
                     "ldr     r6, [sp, #28]\n\t"
                     "cmp     r1, r6\n\t"
                     "beq     2f\n\t"
                     ".p2align 2\n\t"
                     "1:\n\t"
                     ".rept 4\n\t"
                     "ldr.w   r2, [r1], #4\n\t"
                     "ldr.w   r3, [r0, #4]\n\t"
                     "ldr.w   r4, [r0, #8]\n\t"
                     "ldr.w   r5, [r0, #12]\n\t"
                     "ldr.w   r6, [r1], #4\n\t"
                     "ldr.w   lr, [r0, #16]\n\t"
                     "smlad   r8, r3, r2, r8\n\t"
                     "sxtb16  r3, r3\n\t"
                     "smlad   r7, r3, r2, r7\n\t"
                     "smlad   r10, r4, r2, r10\n\t"
                     "sxtb16  r4, r4\n\t"
                     "smlad   r9, r4, r2, r9\n\t"
                     "smlad   r12, r5, r2, r12\n\t"
                     "sxtb16  r5, r5\n\t"
                     "smlad   r11, r5, r2, r11\n\t"
                     "smlad   r8, lr, r6, r8\n\t"
                     "sxtb16  lr, lr\n\t"
                     "smlad   r7, lr, r6, r7\n\t"
                     "ldr.w   r2, [r1], #4\n\t"
                     "ldr.w   r3, [r0, #20]\n\t"
                     "ldr.w   r4, [r0, #24]\n\t"
                     "ldr.w   r5, [r0, #28]\n\t"
                     "ldr.w   lr, [r0, #32]\n\t"
                     "smlad   r10, r3, r6, r10\n\t"
                     "sxtb16  r3, r3\n\t"
                     "smlad   r9, r3, r6, r9\n\t"
                     "smlad   r12, r4, r6, r12\n\t"
                     "sxtb16  r4, r4\n\t"
                     "smlad   r11, r4, r6, r11\n\t"
                     "smlad   r8, r5, r2, r8\n\t"
                     "sxtb16  r5, r5\n\t"
                     "smlad   r7, r5, r2, r7\n\t"
                     "smlad   r10, lr, r2, r10\n\t"
                     "sxtb16  lr, lr\n\t"
                     "smlad   r9, lr, r2, r9\n\t"
                     "ldr.w   r6, [r1], #4\n\t"
                     "ldr.w   r3, [r0, #36]\n\t"
                     "ldr.w   r4, [r0, #40]\n\t"
                     "ldr.w   r5, [r0, #44]\n\t"
                     "ldr.w   lr, [r0, #48]!\n\t"
                     "smlad   r12, r3, r2, r12\n\t"
                     "sxtb16  r3, r3\n\t"
                     "smlad   r11, r3, r2, r11\n\t"
                     "smlad   r8, r4, r6, r8\n\t"
                     "sxtb16  r4, r4\n\t"
                     "smlad   r7, r4, r6, r7\n\t"
                     "smlad   r10, r5, r6, r10\n\t"
                     "sxtb16  r5, r5\n\t"
                     "smlad   r9, r5, r6, r9\n\t"
                     "smlad   r12, lr, r6, r12\n\t"
                     "sxtb16  lr, lr\n\t"
                     "smlad   r11, lr, r6, r11\n\t"
                     ".endr\n\t"
                     "ldr     r4, [sp, #28]\n\t"
                     "cmp     r1, r4\n\t"
                     "bne.w   1b\n\t"
                     "2:\n\t"
                     "ldr     r6, [sp, #4]\n\t"
                     "cmp     r1, r6\n\t"
                     "beq     4f\n\t"
                     ".p2align 2\n\t"
                     "3:\n\t"
                     ".rept 4\n\t"
                     "ldr.w   r2, [r1], #4\n\t"
                     "ldr.w   r3, [r0, #4]\n\t"
                     "ldr.w   r4, [r0, #8]\n\t"
                     "ldr.w   r5, [r0, #12]!\n\t"
                     "smlad   r8, r3, r2, r8\n\t"
                     "sxtb16  r3, r3\n\t"
                     "smlad   r7, r3, r2, r7\n\t"
                     "smlad   r10, r4, r2, r10\n\t"
                     "sxtb16  r4, r4\n\t"
                     "smlad   r9, r4, r2, r9\n\t"
                     "smlad   r12, r5, r2, r12\n\t"
                     "sxtb16  r5, r5\n\t"
                     "smlad   r11, r5, r2, r11\n\t"
                     ".endr\n\t"
                     "cmp     r1, r6\n\t"
                     "bne.w   3b\n\t"
                     "4:\n\t"
                     "ldr     r4, [sp, #12]\n\t"
                     "ldr     r3, [r4, #4]\n\t"
                     "ldr     r5, [r4, #12]\n\t"
                     "ldr     r6, [r4, #20]\n\t"
                     "sub     r8, r8, r7\n\t"
                     "sub     r10, r10, r9\n\t"
                     "sub     r12, r12, r11\n\t"
                     "add     r3, r3, r8, asr #8\n\t"
                     "add     r5, r5, r10, asr #8\n\t"
                     "add     r6, r6, r12, asr #8\n\t"
                     "str     r7, [r4]\n\t"
                     "str     r3, [r4, #4]\n\t"
                     "str     r9, [r4, #8]\n\t"
                     "str     r5, [r4, #12]\n\t"
                     "str     r11, [r4, #16]\n\t"
                     "str     r6, [r4, #20]\n\t" EDGEQ_NEXT_GROUP(6)
                     : "+r"(weight), "+r"(activation), "+r"(end), "+r"(start), "+r"(sums),
                       "+r"(minus), "+r"(count)
                     :
                     : "r8", EDGEQ_USES_R9 "r10", "r11", "r12", "cc", "memory");
#else
    (void)less;
    for (; groups > 0; groups--, from += 6, to += 6, w += (columns >> 1) * 3) {
        edgeq_row_pairs(w, x, columns, from, to, 3);
    }
#endif
}

EDGEQ_KERNEL void edgeq_fully_connected_s8_s8_dsp(const edgeq_fully_connected_params *p,
                                                  const int8_t *x, int8_t *y, void *scratch) {
    const edgeq_row_group wide = {6, 3, edgeq_six_rows};
    const edgeq_row_group narrow = {2, 1, edgeq_two_rows};
    edgeq_fully_connected_dsp(p, x, y, scratch, wide, narrow, 512, 0);
}
