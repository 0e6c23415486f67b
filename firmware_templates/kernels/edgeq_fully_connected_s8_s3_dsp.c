/* FullyConnected, int8 activations and 3-bit weights in -3..3: five rows in one half.
 *
 * A half of the stream holds one column of five rows: bits 3 i to 3 i + 2 are w + 3 of row i for
 * rows 0 to 3, bits 12 to 15 are w of row 4 in two's complement. SMLAD of the raw word, of its
 * lower 12, 9, 6 and 3 bits: each sum contains the next, and differences, shifted, are the rows. A
 * word is five rows by two columns, 3.2 bits a weight.
 *
 * Example, columns of five rows [1 -2 3 0 -1] and, two columns on, [-3 -3 -3 -3 3]: digits 4 1 6 3
 * and -1, then 0 0 0 0 and 3: halves F78C and 3000, word 3000F78C. Columns 0 and 2 share the first
 * word, 1 and 3 the next.
 *
 * The offset adds 3 sum x to rows 0 to 3 of a half: `less` takes it back.
 * Exact: differences are right modulo 2^32, and within a chunk of 1024 columns row 4 has |sum| <=
 * 1024 * 3 * 128 < 2^19, the others at most 1024 * 6 * 128 < 2^22, so that no bit is lost by the
 * shifts whatever the data; chunks add.
 */
#include "edgeq_fully_connected_dsp.h"
#include "edgeq_kernels_dsp.h"
#if !EDGEQ_DSP_ASM
static inline void edgeq_row_fives(const uint32_t *w, const uint32_t *x, int32_t columns,
                                   const int32_t *from, int32_t *to, int32_t less, int32_t halves) {
    for (int32_t j = 0; j < halves; j++, from += 5, to += 5) {
        int32_t first = edgeq_wrapping_sub(from[0], less);
        int32_t sum[5] = {first, first, first, first, first};
        for (int32_t k = 0; k < columns >> 1; k++) {
            uint32_t word = w[k * halves + j];
            sum[4] = edgeq_smlad(word, x[k], sum[4]);
            sum[3] = edgeq_smlad(word & 0x0FFF0FFFu, x[k], sum[3]);
            sum[2] = edgeq_smlad(word & 0x01FF01FFu, x[k], sum[2]);
            sum[1] = edgeq_smlad(word & 0x003F003Fu, x[k], sum[1]);
            sum[0] = edgeq_smlad(word & 0x00070007u, x[k], sum[0]);
        }
        for (int32_t i = 4; i > 0; i--) {
            int32_t row = edgeq_wrapping_sub(sum[i], sum[i - 1]) >> (3 * i);
            to[i] = edgeq_wrapping_add(edgeq_wrapping_sub(from[i], i < 4 ? less : 0), row);
        }
        to[0] = sum[0];
    }
}
#endif

/* Five rows: r5, r7, r8, r9, r10, each with those below. Six columns are six loads in one run;
 * masks shrink the word in place. A turn is 32 columns, then what is left in blocks of 8. */
static __attribute__((noinline)) void edgeq_five_rows(const uint32_t *w, const uint32_t *x,
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
                     "ldr     r7, [r3, #4]\n\t"
                     "ldr     r8, [r3, #8]\n\t"
                     "ldr     r9, [r3, #12]\n\t"
                     "ldr     r10, [r3, #16]\n\t"
                     "ldr     r6, [r3]\n\t"
                     "sub     r7, r7, r5\n\t"
                     "sub     r8, r8, r5\n\t"
                     "sub     r9, r9, r5\n\t"
                     "sub     r5, r6, r5\n\t"
                     "str     r7, [r4, #4]\n\t"
                     "str     r8, [r4, #8]\n\t"
                     "str     r9, [r4, #12]\n\t"
                     "str     r10, [r4, #16]\n\t"
                     "mov     r7, r5\n\t"
                     "mov     r8, r5\n\t"
                     "mov     r9, r5\n\t"
                     "mov     r10, r5\n\t"
                     "ldr     r6, [sp, #28]\n\t"
                     "cmp     r1, r6\n\t"
                     "beq     2f\n\t"
                     ".p2align 2\n\t"
                     "1:\n\t"
                     ".rept 5\n\t"
                     "ldr.w   r2, [r1], #4\n\t"
                     "ldr.w   r3, [r0, #4]\n\t"
                     "ldr.w   r4, [r1], #4\n\t"
                     "ldr.w   r11, [r0, #8]\n\t"
                     "ldr.w   r12, [r1], #4\n\t"
                     "ldr.w   lr, [r0, #12]!\n\t"
                     "smlad   r10, r3, r2, r10\n\t"
                     "bic     r3, r3, #0xF000F000\n\t"
                     "smlad   r9, r3, r2, r9\n\t"
                     "bic     r3, r3, #0xFE00FE00\n\t"
                     "smlad   r8, r3, r2, r8\n\t"
                     "and     r3, r3, #0x003F003F\n\t"
                     "smlad   r7, r3, r2, r7\n\t"
                     "and     r3, r3, #0x00070007\n\t"
                     "smlad   r5, r3, r2, r5\n\t"
                     "smlad   r10, r11, r4, r10\n\t"
                     "bic     r11, r11, #0xF000F000\n\t"
                     "smlad   r9, r11, r4, r9\n\t"
                     "bic     r11, r11, #0xFE00FE00\n\t"
                     "smlad   r8, r11, r4, r8\n\t"
                     "and     r11, r11, #0x003F003F\n\t"
                     "smlad   r7, r11, r4, r7\n\t"
                     "and     r11, r11, #0x00070007\n\t"
                     "smlad   r5, r11, r4, r5\n\t"
                     "smlad   r10, lr, r12, r10\n\t"
                     "bic     lr, lr, #0xF000F000\n\t"
                     "smlad   r9, lr, r12, r9\n\t"
                     "bic     lr, lr, #0xFE00FE00\n\t"
                     "smlad   r8, lr, r12, r8\n\t"
                     "and     lr, lr, #0x003F003F\n\t"
                     "smlad   r7, lr, r12, r7\n\t"
                     "and     lr, lr, #0x00070007\n\t"
                     "smlad   r5, lr, r12, r5\n\t"
                     ".endr\n\t"
                     "ldr.w   r2, [r1], #4\n\t"
                     "ldr.w   r3, [r0, #4]!\n\t"
                     "smlad   r10, r3, r2, r10\n\t"
                     "bic     r3, r3, #0xF000F000\n\t"
                     "smlad   r9, r3, r2, r9\n\t"
                     "bic     r3, r3, #0xFE00FE00\n\t"
                     "smlad   r8, r3, r2, r8\n\t"
                     "and     r3, r3, #0x003F003F\n\t"
                     "smlad   r7, r3, r2, r7\n\t"
                     "and     r3, r3, #0x00070007\n\t"
                     "smlad   r5, r3, r2, r5\n\t"
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
                     "ldr.w   r4, [r1], #4\n\t"
                     "ldr.w   r11, [r0, #8]!\n\t"
                     "smlad   r10, r3, r2, r10\n\t"
                     "bic     r3, r3, #0xF000F000\n\t"
                     "smlad   r9, r3, r2, r9\n\t"
                     "bic     r3, r3, #0xFE00FE00\n\t"
                     "smlad   r8, r3, r2, r8\n\t"
                     "and     r3, r3, #0x003F003F\n\t"
                     "smlad   r7, r3, r2, r7\n\t"
                     "and     r3, r3, #0x00070007\n\t"
                     "smlad   r5, r3, r2, r5\n\t"
                     "smlad   r10, r11, r4, r10\n\t"
                     "bic     r11, r11, #0xF000F000\n\t"
                     "smlad   r9, r11, r4, r9\n\t"
                     "bic     r11, r11, #0xFE00FE00\n\t"
                     "smlad   r8, r11, r4, r8\n\t"
                     "and     r11, r11, #0x003F003F\n\t"
                     "smlad   r7, r11, r4, r7\n\t"
                     "and     r11, r11, #0x00070007\n\t"
                     "smlad   r5, r11, r4, r5\n\t"
                     ".endr\n\t"
                     "cmp     r1, r6\n\t"
                     "bne.w   3b\n\t"
                     "4:\n\t"
                     "ldr     r4, [sp, #12]\n\t"
                     "ldr     r1, [r4, #4]\n\t"
                     "ldr     r2, [r4, #8]\n\t"
                     "ldr     r3, [r4, #12]\n\t"
                     "ldr     r11, [r4, #16]\n\t"
                     "sub     r10, r10, r9\n\t"
                     "sub     r9, r9, r8\n\t"
                     "sub     r8, r8, r7\n\t"
                     "sub     r7, r7, r5\n\t"
                     "add     r1, r1, r7, asr #3\n\t"
                     "add     r2, r2, r8, asr #6\n\t"
                     "add     r3, r3, r9, asr #9\n\t"
                     "add     r11, r11, r10, asr #12\n\t"
                     "str     r5, [r4]\n\t"
                     "str     r1, [r4, #4]\n\t"
                     "str     r2, [r4, #8]\n\t"
                     "str     r3, [r4, #12]\n\t"
                     "str     r11, [r4, #16]\n\t" EDGEQ_NEXT_GROUP(5)
                     : "+r"(weight), "+r"(activation), "+r"(end), "+r"(start), "+r"(sums),
                       "+r"(minus), "+r"(count)
                     :
                     : "r8", EDGEQ_USES_R9 "r10", "r11", "r12", "cc", "memory");
#else
    for (; groups > 0; groups--, from += 5, to += 5, w += (columns >> 1) * 1) {
        edgeq_row_fives(w, x, columns, from, to, less, 1);
    }
#endif
}

/* The last group. One or two rows need the lower six bits only. */
static void edgeq_last_rows(const uint32_t *w, const uint32_t *x, int32_t columns,
                            const int32_t *from, int32_t *to, int32_t less, int32_t count) {
    if (count > 2) {
        edgeq_five_rows(w, x, columns, from, to, less, 1);
        return;
    }
    const uint32_t *end = x + (columns >> 1);
    int32_t low = edgeq_wrapping_sub(from[0], less);
    int32_t both = low;
    for (; x != end; x += 4, w += 4) {
        both = edgeq_smlad(w[0] & 0x003F003Fu, x[0], both);
        low = edgeq_smlad(w[0] & 0x00070007u, x[0], low);
        both = edgeq_smlad(w[1] & 0x003F003Fu, x[1], both);
        low = edgeq_smlad(w[1] & 0x00070007u, x[1], low);
        both = edgeq_smlad(w[2] & 0x003F003Fu, x[2], both);
        low = edgeq_smlad(w[2] & 0x00070007u, x[2], low);
        both = edgeq_smlad(w[3] & 0x003F003Fu, x[3], both);
        low = edgeq_smlad(w[3] & 0x00070007u, x[3], low);
    }
    to[1] =
        edgeq_wrapping_add(edgeq_wrapping_sub(from[1], less), edgeq_wrapping_sub(both, low) >> 3);
    to[0] = low;
}

EDGEQ_KERNEL void edgeq_fully_connected_s8_s3_dsp(const edgeq_fully_connected_params *p,
                                                  const int8_t *x, int8_t *y, void *scratch) {
    const edgeq_row_group wide = {5, 1, edgeq_five_rows};
    const edgeq_row_group narrow = {5, 1, edgeq_last_rows};
    edgeq_fully_connected_dsp(p, x, y, scratch, wide, narrow, 1024, 3);
}
