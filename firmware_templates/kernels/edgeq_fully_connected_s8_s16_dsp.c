/* FullyConnected, int8 activations and 16-bit weights: two columns of one row a word.
 *
 * A group has six rows (six words a column pair), at the end two. Example, rows 0 and 1 of four
 * columns: [1 2 3 4] and [-1 0 5 -2]: words 00030001 0005FFFF for columns 0 and 2, then 00040002
 * FFFE0000 for columns 1 and 3 (with six rows four more words stand behind each two).
 *
 * Exact: sums wrap modulo 2^32 and the exporter proves that the whole one stays below 2^31 - 2^8,
 * which leaves room for the zero point and the rounding where the shift is 1.
 */
#define EDGEQ_LONG_SUMS 1
#include "edgeq_fully_connected_dsp.h"
#include "edgeq_kernels_dsp.h"

/* Rows two at a time. */
static inline void edgeq_row_twos(const uint32_t *w, const uint32_t *x, int32_t columns,
                                  const int32_t *from, int32_t *to, int32_t rows) {
    const uint32_t *end = x + (columns >> 1);
    for (int32_t j = 0; j < rows; j += 2) {
        const uint32_t *word = w + j;
        const uint32_t *half = x;
        int32_t first = from[j];
        int32_t second = from[j + 1];
        for (; half != end; half += 4, word += 4 * rows) {
            first = edgeq_smlad(word[0], half[0], first);
            second = edgeq_smlad(word[1], half[0], second);
            first = edgeq_smlad(word[rows], half[1], first);
            second = edgeq_smlad(word[rows + 1], half[1], second);
            first = edgeq_smlad(word[2 * rows], half[2], first);
            second = edgeq_smlad(word[2 * rows + 1], half[2], second);
            first = edgeq_smlad(word[3 * rows], half[3], first);
            second = edgeq_smlad(word[3 * rows + 1], half[3], second);
        }
        to[j] = first;
        to[j + 1] = second;
    }
}

static void edgeq_two_rows(const uint32_t *w, const uint32_t *x, int32_t columns,
                           const int32_t *from, int32_t *to, int32_t less, int32_t count) {
    (void)less;
    (void)count;
    edgeq_row_twos(w, x, columns, from, to, 2);
}

/* Six rows: r7 to r12. Loads in runs as long as the six free registers allow: a run costs one cycle
 * on top. A turn is 32 columns, then what is left in blocks of 8. */
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
                     "ldr     r8, [r3, #4]\n\t"
                     "ldr     r9, [r3, #8]\n\t"
                     "ldr     r10, [r3, #12]\n\t"
                     "ldr     r11, [r3, #16]\n\t"
                     "ldr     r12, [r3, #20]\n\t"
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
                     "ldr.w   r6, [r0, #16]\n\t"
                     "ldr.w   lr, [r0, #20]\n\t"
                     "smlad   r7, r3, r2, r7\n\t"
                     "smlad   r8, r4, r2, r8\n\t"
                     "smlad   r9, r5, r2, r9\n\t"
                     "smlad   r10, r6, r2, r10\n\t"
                     "smlad   r11, lr, r2, r11\n\t"
                     "ldr.w   r3, [r0, #24]\n\t"
                     "ldr.w   r4, [r1], #4\n\t"
                     "ldr.w   r5, [r0, #28]\n\t"
                     "ldr.w   r6, [r0, #32]\n\t"
                     "ldr.w   lr, [r0, #36]\n\t"
                     "smlad   r12, r3, r2, r12\n\t"
                     "smlad   r7, r5, r4, r7\n\t"
                     "smlad   r8, r6, r4, r8\n\t"
                     "smlad   r9, lr, r4, r9\n\t"
                     "ldr.w   r3, [r0, #40]\n\t"
                     "ldr.w   r2, [r0, #44]\n\t"
                     "ldr.w   r5, [r0, #48]\n\t"
                     "ldr.w   r6, [r1], #4\n\t"
                     "ldr.w   lr, [r0, #52]\n\t"
                     "smlad   r10, r3, r4, r10\n\t"
                     "smlad   r11, r2, r4, r11\n\t"
                     "smlad   r12, r5, r4, r12\n\t"
                     "smlad   r7, lr, r6, r7\n\t"
                     "ldr.w   r3, [r0, #56]\n\t"
                     "ldr.w   r2, [r0, #60]\n\t"
                     "ldr.w   r5, [r0, #64]\n\t"
                     "ldr.w   r4, [r0, #68]\n\t"
                     "ldr.w   lr, [r0, #72]\n\t"
                     "smlad   r8, r3, r6, r8\n\t"
                     "smlad   r9, r2, r6, r9\n\t"
                     "smlad   r10, r5, r6, r10\n\t"
                     "smlad   r11, r4, r6, r11\n\t"
                     "smlad   r12, lr, r6, r12\n\t"
                     "ldr.w   r3, [r1], #4\n\t"
                     "ldr.w   r2, [r0, #76]\n\t"
                     "ldr.w   r5, [r0, #80]\n\t"
                     "ldr.w   r4, [r0, #84]\n\t"
                     "ldr.w   lr, [r0, #88]\n\t"
                     "ldr.w   r6, [r0, #92]\n\t"
                     "smlad   r7, r2, r3, r7\n\t"
                     "smlad   r8, r5, r3, r8\n\t"
                     "smlad   r9, r4, r3, r9\n\t"
                     "smlad   r10, lr, r3, r10\n\t"
                     "smlad   r11, r6, r3, r11\n\t"
                     "ldr.w   r2, [r0, #96]!\n\t"
                     "smlad   r12, r2, r3, r12\n\t"
                     ".endr\n\t"
                     "ldr     r6, [sp, #28]\n\t"
                     "cmp     r1, r6\n\t"
                     "bne.w   1b\n\t"
                     "2:\n\t"
                     "ldr     r6, [sp, #4]\n\t"
                     "cmp     r1, r6\n\t"
                     "beq     4f\n\t"
                     ".p2align 2\n\t"
                     "3:\n\t"
                     "ldr.w   r2, [r1], #4\n\t"
                     "ldr.w   r3, [r0, #4]\n\t"
                     "ldr.w   r4, [r0, #8]\n\t"
                     "ldr.w   r5, [r0, #12]\n\t"
                     "ldr.w   r6, [r0, #16]\n\t"
                     "ldr.w   lr, [r0, #20]\n\t"
                     "smlad   r7, r3, r2, r7\n\t"
                     "smlad   r8, r4, r2, r8\n\t"
                     "smlad   r9, r5, r2, r9\n\t"
                     "smlad   r10, r6, r2, r10\n\t"
                     "smlad   r11, lr, r2, r11\n\t"
                     "ldr.w   r3, [r0, #24]\n\t"
                     "ldr.w   r4, [r1], #4\n\t"
                     "ldr.w   r5, [r0, #28]\n\t"
                     "ldr.w   r6, [r0, #32]\n\t"
                     "ldr.w   lr, [r0, #36]\n\t"
                     "smlad   r12, r3, r2, r12\n\t"
                     "smlad   r7, r5, r4, r7\n\t"
                     "smlad   r8, r6, r4, r8\n\t"
                     "smlad   r9, lr, r4, r9\n\t"
                     "ldr.w   r3, [r0, #40]\n\t"
                     "ldr.w   r2, [r0, #44]\n\t"
                     "ldr.w   r5, [r0, #48]\n\t"
                     "ldr.w   r6, [r1], #4\n\t"
                     "ldr.w   lr, [r0, #52]\n\t"
                     "smlad   r10, r3, r4, r10\n\t"
                     "smlad   r11, r2, r4, r11\n\t"
                     "smlad   r12, r5, r4, r12\n\t"
                     "smlad   r7, lr, r6, r7\n\t"
                     "ldr.w   r3, [r0, #56]\n\t"
                     "ldr.w   r2, [r0, #60]\n\t"
                     "ldr.w   r5, [r0, #64]\n\t"
                     "ldr.w   r4, [r0, #68]\n\t"
                     "ldr.w   lr, [r0, #72]\n\t"
                     "smlad   r8, r3, r6, r8\n\t"
                     "smlad   r9, r2, r6, r9\n\t"
                     "smlad   r10, r5, r6, r10\n\t"
                     "smlad   r11, r4, r6, r11\n\t"
                     "smlad   r12, lr, r6, r12\n\t"
                     "ldr.w   r3, [r1], #4\n\t"
                     "ldr.w   r2, [r0, #76]\n\t"
                     "ldr.w   r5, [r0, #80]\n\t"
                     "ldr.w   r4, [r0, #84]\n\t"
                     "ldr.w   lr, [r0, #88]\n\t"
                     "ldr.w   r6, [r0, #92]\n\t"
                     "smlad   r7, r2, r3, r7\n\t"
                     "smlad   r8, r5, r3, r8\n\t"
                     "smlad   r9, r4, r3, r9\n\t"
                     "smlad   r10, lr, r3, r10\n\t"
                     "smlad   r11, r6, r3, r11\n\t"
                     "ldr.w   r2, [r0, #96]!\n\t"
                     "smlad   r12, r2, r3, r12\n\t"
                     "ldr     r6, [sp, #4]\n\t"
                     "cmp     r1, r6\n\t"
                     "bne.w   3b\n\t"
                     "4:\n\t"
                     "ldr     r4, [sp, #12]\n\t"
                     "str     r7, [r4, #0]\n\t"
                     "str     r8, [r4, #4]\n\t"
                     "str     r9, [r4, #8]\n\t"
                     "str     r10, [r4, #12]\n\t"
                     "str     r11, [r4, #16]\n\t"
                     "str     r12, [r4, #20]\n\t" EDGEQ_NEXT_GROUP(6)
                     : "+r"(weight), "+r"(activation), "+r"(end), "+r"(start), "+r"(sums),
                       "+r"(minus), "+r"(count)
                     :
                     : "r8", EDGEQ_USES_R9 "r10", "r11", "r12", "cc", "memory");
#else
    (void)less;
    for (; groups > 0; groups--, from += 6, to += 6, w += (columns >> 1) * 6) {
        edgeq_row_twos(w, x, columns, from, to, 6);
    }
#endif
}

EDGEQ_KERNEL void edgeq_fully_connected_s8_s16_dsp(const edgeq_fully_connected_params *p,
                                                   const int8_t *x, int8_t *y, void *scratch) {
    const edgeq_row_group wide = {6, 6, edgeq_six_rows};
    const edgeq_row_group narrow = {2, 2, edgeq_two_rows};
    edgeq_fully_connected_dsp(p, x, y, scratch, wide, narrow, INT32_MAX, 0);
}
