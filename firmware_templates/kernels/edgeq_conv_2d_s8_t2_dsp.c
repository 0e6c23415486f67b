/* Conv2D, ternary weights, four multiply-accumulates an SMLAD.
 *
 * Stream: blocks of four rows; in a block, groups of eight columns, then the block's parameters;
 * in a group, two words: rows (0, 1), then rows (2, 3). A word holds eight columns of two rows a
 * and b. Turned right by 4 i bits (i = 0..3) and under the mask 0xC003C003 it gives two halves, w_a
 * + 1 in bits 0 and 1, w_b (two's complement) in bits 14 and 15, of columns
 *
 *   i      0       1       2       3
 *   low    0       1       4       5
 *   high   2       3       6       7
 *
 * Row a of zeros and row b of [1, 0, 0, 0, 0, 0, 0, 0]: 0x11115111. Both codes of a column that
 * fills a group are 0.
 *
 * SMLAD of a masked word sums T = A + 2^14 B modulo 2^32, A = sum x (w_a + 1), B = sum x w_b. A
 * grows by -8192 to 8128 in 32 columns (|x| <= 128, two at most), so after as many the low 14 bits
 * of T - A tell exactly by how much. At the end row b is (T - A) >> 14, exact while |B| < 2^17,
 * that is up to 1023 columns: a longer row is split every 512.
 * Row a also loses the sum of the activations: T and A begin with it, negative.
 */
#define EDGEQ_CONV_SUMS       1
#define EDGEQ_CONV_CELL_WORDS 384
#define EDGEQ_CONV_HALVES     1
#include "edgeq_conv_2d_dsp.h"

enum { PAIR_BYTES = 34, UNROLLED = 16, CHUNK_PAIRS = 256 };

#if EDGEQ_DSP_ASM
/* clang-format off */
/* 64 multiplies in 36 cycles: a mask serves both pixels. T is in the odd registers r5..r11, the
 * even ones hold activations and, at the end of 32 columns, 4 A: 16 bits of 4 T - 4 A are the growth
 * with its sign. */
#define FOUR(turn0, turn1)                                                                         \
    "and r3, r2, r12" turn0 "\n"                                                                   \
    "smlad r5, r3, r4, r5\n"                                                                       \
    "smlad r9, r3, r6, r9\n"                                                                       \
    "and r3, r2, lr" turn0 "\n"                                                                    \
    "smlad r7, r3, r4, r7\n"                                                                       \
    "smlad r11, r3, r6, r11\n"                                                                     \
    "and r3, r2, r12" turn1 "\n"                                                                   \
    "smlad r5, r3, r8, r5\n"                                                                       \
    "smlad r9, r3, r10, r9\n"                                                                      \
    "and r3, r2, lr" turn1 "\n"                                                                    \
    "smlad r7, r3, r8, r7\n"                                                                       \
    "smlad r11, r3, r10, r11\n"
#define LOADS                                                                                      \
    "ldr.w r6, [r1, #4]\n"                                                                         \
    "ldr.w r8, [r1, #8]\n"                                                                         \
    "ldr.w r10, [r1, #12]\n"                                                                       \
    "ldr.w r4, [r1], #16\n"
#define EIGHT                                                                                      \
    "ldr.w lr, [r0, #4]\n"                                                                         \
    "ldr.w r12, [r0], #8\n"                                                                        \
    LOADS FOUR("", ", ror #4") LOADS FOUR(", ror #8", ", ror #12")
#define GROW(a, t)                                                                                 \
    "rsb r3, " a ", " t ", lsl #2\n"                                                               \
    "sxtah " a ", " a ", r3\n"
/* The four 4 A, between chunks of 32 columns; at first those of a pixel are one. */
#if defined(__ARM_PCS_VFP)
#define PUT_A(a, b, c, d)     "vmov s0, s1, " a ", " b "\nvmov s2, s3, " c ", " d "\n"
#define GET_A(a, b, c, d)     "vmov " a ", " b ", s0, s1\nvmov " c ", " d ", s2, s3\n"
#define PUT_FIRST(a, b, c, d) PUT_A(a, a, c, c)
#else
#define PUT_A(a, b, c, d)     "stm sp, {" a ", " b ", " c ", " d "}\n"
#define GET_A(a, b, c, d)     "ldm sp, {" a ", " b ", " c ", " d "}\n"
#define PUT_FIRST(a, b, c, d) "mov " b ", " a "\nmov " d ", " c "\n" PUT_A(a, b, c, d)
#endif
#define MASK_IN_R2 "movw r2, #0xC003\nmovt r2, #0xC003\n"
#define CLEAR_HIGH                                                                                 \
    "movs r2, #0\n"                                                                                \
    "str r2, [sp, #16]\n"                                                                          \
    "str r2, [sp, #20]\n"                                                                          \
    "str r2, [sp, #24]\n"                                                                          \
    "str r2, [sp, #28]\n"
#define ROW_B_LESS_A                                                                               \
    "sub.w r5, r5, r4, asr #2\n"                                                                   \
    "sub.w r7, r7, r6, asr #2\n"                                                                   \
    "sub r9, r9, r8, asr #2\n"                                                                     \
    "sub r11, r11, r10, asr #2\n"
/* Doubles the accumulators, those of rows 1 and 3 by `shift`, and adds the biases. */
#define BIAS(shift)                                                                                \
    EDGEQ_PAIR_BIAS                                                                                \
    "add.w r4, r2, r4, asr #1\n"                                                                   \
    "add r8, r2, r8, asr #1\n"                                                                     \
    "add.w r5, r3, r5, " shift "\n"                                                                \
    "add r9, r3, r9, " shift "\n"                                                                  \
    "add.w r6, r12, r6, asr #1\n"                                                                  \
    "add r10, r12, r10, asr #1\n"                                                                  \
    "add.w r7, lr, r7, " shift "\n"                                                                \
    "add r11, lr, r11, " shift "\n"

__attribute__((naked, noinline)) static void kernel(EDGEQ_UNUSED const edgeq_pair_job *job) {
    __asm__(
        EDGEQ_PAIR_ENTER(CLEAR_HIGH)
        "ldr r1, " EDGEQ_F_SUMS "\n"
        "ldm r1!, {r2, r3}\n"
        "negs r2, r2\n"
        "negs r3, r3\n"
        "str r1, " EDGEQ_F_SUMS "\n"
        "str r2, " EDGEQ_F_SUM0 "\n"
        "str r3, " EDGEQ_F_SUM1 "\n"
        ".balign 4\n"
        "2:\n"
        "ldr r5, " EDGEQ_F_SUM0 "\n"
        "ldr r3, " EDGEQ_F_ENTRY "\n"
        "ldr.w r9, " EDGEQ_F_SUM1 "\n"
        "ldr r1, " EDGEQ_F_PATCH "\n"
        "mov r7, r5\n"
        "mov r11, r9\n"
        "lsls r4, r5, #2\n"
        "lsl.w r8, r9, #2\n"
        PUT_FIRST("r4", "r6", "r8", "r10")
        MASK_IN_R2
        "bx r3\n"
        ".balign 4\n"
        "1:\n"
        EDGEQ_REPEAT(4, EIGHT)
        GET_A("r4", "r6", "r8", "r10")
        GROW("r4", "r5") GROW("r6", "r7") GROW("r8", "r9") GROW("r10", "r11")
        EDGEQ_GET_END("r3")
        "cmp r1, r3\n"
        "bhs 3f\n"
        PUT_A("r4", "r6", "r8", "r10")
        "b 1b\n"
        ".balign 4\n"
        "3:\n"
        ROW_B_LESS_A
        "bne.w 4f\n"
        BIAS("asr #13")
        "6:\n"
        EDGEQ_PAIR_LEAVE
        /* the end of one chunk of several: sums of rows 1 and 3 go to the frame */
        "4:\n"
        "add r3, sp, #16\n"
        "ldrd r12, lr, [r3]\n"
        "add.w r5, r12, r5, asr #14\n"
        "add.w r7, lr, r7, asr #14\n"
        "ldrd r12, lr, [r3, #8]\n"
        "add r9, r12, r9, asr #14\n"
        "add r11, lr, r11, asr #14\n"
        "stm r3, {r5, r7, r9, r11}\n"
        "ldr r3, " EDGEQ_F_LENGTH "\n"
        "ldr.w r12, " EDGEQ_F_PATCH "\n"
        "add r3, r3, r12\n"
        "cmp r1, r3\n"
        "beq 5f\n"
        PUT_A("r4", "r6", "r8", "r10")
        "asrs r5, r4, #2\n"
        "asrs r7, r6, #2\n"
        "asr r9, r8, #2\n"
        "asr r11, r10, #2\n"
        "addw r4, r1, #2047\n" EDGEQ_PUT_END("r4")
        "b 1b\n"
        "5:\n"
        "ldr r2, " EDGEQ_F_FIRST_END "\n" EDGEQ_PUT_END("r2")
        CLEAR_HIGH
        BIAS("lsl #1")
        "b 6b\n");
}
/* clang-format on */
#else
#define MASK 0xC003C003u

static void sums(const edgeq_pair_job *job, const uint32_t *w, int32_t i, uint32_t sum[4]) {
    for (int32_t half = 0; half < 2; half++) {
        int32_t low = -job->sums[i];
        int32_t high = 0;
        int32_t both = 0;
        for (int32_t k = 0; k < job->length >> 3; k++) {
            uint32_t word = w[(k >> 2) * 2 + half];
            uint32_t turned = word >> (k & 3) * 4 | (word << 1) << (31 - (k & 3) * 4);
            both = edgeq_smlad(turned & MASK, job->patch[2 * k + i], both);
            if ((k & 15) == 15 || k + 1 == job->length >> 3) {
                int32_t a = ((both & 0x3FFF) ^ 0x2000) - 0x2000;
                low += a;
                high += (both - a) >> 14;
                both = 0;
            }
        }
        sum[2 * half] = (uint32_t)low;
        sum[2 * half + 1] = (uint32_t)high;
    }
}

static void kernel(const edgeq_pair_job *job) {
    edgeq_pair_twin(*job, sums, job->length >> 4);
}
#endif

EDGEQ_KERNEL EDGEQ_SMALL void edgeq_conv_2d_s8_t2_dsp(const edgeq_conv_2d_params *p,
                                                      const int8_t *x, int8_t *y, void *scratch) {
    edgeq_conv_2d_dsp(p, x, y, scratch,
                      (edgeq_conv_format){kernel, 8, CHUNK_PAIRS, UNROLLED, PAIR_BYTES, 0});
}
