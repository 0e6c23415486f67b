/* FullyConnected with a scale a block, ternary weights: two rows in a half.
 *
 * Stream, see edgeq_block_dsp.h: for each step of 8 columns the words of rows 0-1, 2-3, 4-5, 6-7 as
 * in edgeq_fully_connected_s8_t2_dsp.c; behind a block of at most 64 columns four words, the scales
 * of a pair of rows as signed halves, the first row's low. Blocks of 128 are two with one scale.
 *
 * Exact: sums begin with minus the block's sum of activations, so that row a's part, the lowest 14
 * bits, is sum x * w as a signed number: within -2^13 .. 2^13 - 1, since a block of 64 weights of
 * -1, whose sum could be 2^13, is stored as weights of 1 and a negative scale. What is left is row
 * b's sum.
 *
 * Example, scales of 3 and -1: word FFFF0003.
 */
#include "edgeq_dsp.h"

#define EDGEQ_NARROW_LANE   14
#define EDGEQ_NARROW_MASK   0xC003C003
#define EDGEQ_NARROW_STEPS  4
#define EDGEQ_NARROW_PASSES 2
#define EDGEQ_NARROW_WORDS  2
#define EDGEQ_NARROW_SCALE  1
#define EDGEQ_NARROW_A      (-1)
#define EDGEQ_NARROW_B      0
#define EDGEQ_NARROW_BRIM   0
#define EDGEQ_BLOCK_STARTS  1
#define EDGEQ_BLOCK_MOST    64
#include "edgeq_block_dsp.h"
#include "edgeq_narrow_rows_dsp.h"

static inline void edgeq_pairs_start(int32_t sum, uint32_t *to) {
    to[0] = (uint32_t)-sum;
}

/* Eight rows: their products, block by block, times their scales, on top of acc. */
#if EDGEQ_DSP_ASM
/* r3 the sums; r8 the pair's scales; low and high its sums. */
#define SCALED(acc, scales, low, high)                                                             \
    "sbfx  lr, " acc ", #0, #14\n\t"                                                               \
    "sub.w   " acc ", " acc ", lr\n\t"                                                             \
    "smlabb  " low ", lr, " scales ", " low "\n\t"                                                 \
    "asr.w   " acc ", " acc ", #14\n\t"                                                            \
    "smlabt  " high ", " acc ", " scales ", " high "\n\t"
#define SCALED_TWO(a, b)                                                                           \
    "ldm     r1!, {r8, r9}\n\t"                                                                    \
    "ldm     r3, {r2, r10, r11, r12}\n\t" SCALED(a, "r8", "r2", "r10")                             \
        SCALED(b, "r9", "r11", "r12") "stm     r3!, {r2, r10, r11, r12}\n\t"

/* On the stack: the end of all activations, bytes of a block, acc, the end of this block. */
static __attribute__((noinline)) const uint32_t *edgeq_block_eight(const uint32_t *w,
                                                                   const edgeq_block_cell *cell) {
    register const edgeq_block_cell *given __asm__("r0") = cell;
    register const uint32_t *weight __asm__("r1") = w;
    /* clang-format off */
    __asm__ volatile(
        EDGEQ_KEEP_R9 "push    {r7, lr}\n\t"
        "ldr     r2, [r0, #4]\n\t"
        "ldr     r3, [r0, #8]\n\t"
        "ldr     r4, [r0, #12]\n\t"
        "ldr     r0, [r0]\n\t"
        "push    {r2, r3, r4, r5}\n\t"
        "0:\n\t"
        "ldr.w   r4, [r0], #4\n\t"
        "ldr.w   r9, [sp, #4]\n\t"
        "ldr.w   r10, [sp]\n\t"
        "movw    r2, #0xC003\n\t"
        "movt    r2, #0xC003\n\t"
        "mov     r5, r4\n\t"
        "mov     r6, r4\n\t"
        "mov     r7, r4\n\t"
        "add     r8, r0, r9\n\t"
        "cmp     r8, r10\n\t"
        "it      hi\n\t"
        "movhi   r8, r10\n\t"
        "str.w   r8, [sp, #12]\n\t"
        ".p2align 2\n\t"
        "1:\n\t"
        EDGEQ_NARROW_STEP_8 EDGEQ_NARROW_STEP_8 EDGEQ_NARROW_STEP_8 EDGEQ_NARROW_STEP_8
        "ldr.w   r3, [sp, #12]\n\t"
        "cmp     r0, r3\n\t"
        "bne.w   1b\n\t"
        "ldr     r3, [sp, #8]\n\t"
        SCALED_TWO("r4", "r5")
        SCALED_TWO("r6", "r7")
        "ldr     r3, [sp]\n\t"
        "cmp     r0, r3\n\t"
        "bne.w   0b\n\t"
        "add     sp, sp, #16\n\t"
        "pop     {r7, lr}\n\t" EDGEQ_BACK_R9
        : "+r"(given), "+r"(weight)
        :
        : "r2", "r3", "r4", "r5", "r6", "r8", EDGEQ_USES_R9 "r10", "r11", "r12", "cc", "memory");
    /* clang-format on */
    return weight;
}
#else
static const uint32_t *edgeq_block_eight(const uint32_t *w, const edgeq_block_cell *cell) {
    const uint32_t *x = cell->x;
    int32_t *acc = cell->acc;
    while (x != cell->end) {
        uint32_t sum[4] = {x[0], x[0], x[0], x[0]};
        x += EDGEQ_BLOCK_STARTS;
        const uint32_t *last = x + (cell->bytes >> 2);
        last = last > cell->end ? cell->end : last;
        for (; x != last; x += 4) {
            for (int32_t i = 0; i < 4; i++, w++) {
                sum[i] = edgeq_narrow_pair(x, *w, 0, sum[i]);
            }
        }
        for (int32_t i = 0; i < 4; i++, w++) {
            int32_t a = (int32_t)(sum[i] << 18) >> 18;
            int32_t b = (int32_t)(sum[i] - (uint32_t)a) >> 14;
            acc[2 * i] = edgeq_wrapping_add(acc[2 * i], a * edgeq_low_half(*w));
            acc[2 * i + 1] = edgeq_wrapping_add(acc[2 * i + 1], b * edgeq_high_half(*w));
        }
    }
    return w;
}
#endif

EDGEQ_KERNEL void edgeq_block_fully_connected_s8_t2_dsp(const edgeq_block_fully_connected_params *p,
                                                        const int8_t *x, int8_t *y, void *scratch) {
    edgeq_block_fully_connected_dsp(p, x, y, scratch, edgeq_block_eight, edgeq_pairs_start);
}
