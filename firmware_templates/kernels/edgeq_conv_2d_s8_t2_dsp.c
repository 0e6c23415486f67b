/* Conv2D, ternary weights, four multiply-accumulates an SMLAD.
 *
 * Stream: blocks of four rows; in a block, groups of eight columns; in a group, two words: rows
 * (0, 1), then rows (2, 3). A word holds eight columns of two rows a and b. Turned right by 4 i
 * bits (i = 0..3) and under the mask 0xC003C003 it gives two halves, w_a + 1 in bits 0 and 1, w_b
 * (two's complement) in bits 14 and 15, of columns
 *
 *   i      0       1       2       3
 *   low    0       1       4       5
 *   high   2       3       6       7
 *
 * Row a of zeros and row b of [1, 0, 0, 0, 0, 0, 0, 0]: 0x11115111.
 *
 * SMLAD of a masked word sums T = A + 2^14 B modulo 2^32, A = sum x (w_a + 1), B = sum x w_b. A
 * grows by -8192 to 8128 in 32 columns (|x| <= 128, two at most), so after as many the low 14 bits
 * of T - A tell exactly by how much. At the end row b is (T - A) >> 14, exact while |B| < 2^17,
 * that is up to 1023 columns: a longer row is split every 512.
 * Row a also loses the sum of the activations.
 */
#define EDGEQ_CONV_SUMS 1
#include "edgeq_conv_2d_dsp.h"

#if EDGEQ_DSP_ASM
/* 64 multiplies in 36 cycles: a mask serves both pixels. T is in the odd registers r5..r11, the
 * even ones hold activations and, at the end of 32 columns, A. */
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
    "ldr.w r12, [r0], #8\n" LOADS FOUR("", ", ror #4") LOADS FOUR(", ror #8", ", ror #12")
#define GROW(a, t)                                                                                 \
    "sub.w r3, " t ", " a "\n"                                                                     \
    "sbfx r3, r3, #0, #14\n"                                                                       \
    "add.w " a ", " a ", r3\n"
#define CLEAR_HIGH                                                                                 \
    "movs r2, #0\n"                                                                                \
    "str r2, [sp, #16]\n"                                                                          \
    "str r2, [sp, #20]\n"                                                                          \
    "str r2, [sp, #24]\n"                                                                          \
    "str r2, [sp, #28]\n"
enum { EIGHT_BYTES = 136 };

__attribute__((naked, noinline)) static void pair_rows(EDGEQ_PAIR_PARAMETERS) {
    __asm__(
        EDGEQ_PAIR_ENTER CLEAR_HIGH
        ".balign 4\n"
        "2:\n"
        "ldr.w r1, " EDGEQ_F_PATCH "\n"
        "ldr.w r3, " EDGEQ_F_ENTRY "\n"
        "movw r2, #0xC003\n"
        "movt r2, #0xC003\n"
        "mov.w r5, #0\n"
        "mov.w r7, #0\n"
        "mov.w r9, #0\n"
        "mov.w r11, #0\n"
        "stm sp, {r5, r7, r9, r11}\n"
        "bx r3\n"
        ".balign 4\n"
        "1:\n" EDGEQ_TWICE(EDGEQ_TWICE(EIGHT)) "ldm sp, {r4, r6, r8, r10}\n" GROW("r4", "r5")
            GROW("r6", "r7") GROW("r8", "r9") GROW(
                "r10",
                "r11") "ldr.w r3, " EDGEQ_F_CHUNK_END "\n"
                       "cmp r1, r3\n"
                       "bhs 3f\n"
                       "stm sp, {r4, r6, r8, r10}\n"
                       "b.w 1b\n"
                       ".balign 4\n"
                       "3:\n"
                       "sub.w r5, r5, r4\n"
                       "sub.w r7, r7, r6\n"
                       "sub r9, r9, r8\n"
                       "sub r11, r11, r10\n"
                       "bne.w 4f\n" EDGEQ_PAIR_BIAS_TWICE "add.w r4, r2, r4, lsl #1\n"
                       "add r8, r2, r8, lsl #1\n"
                       "add.w r5, r3, r5, asr #13\n"
                       "add r9, r3, r9, asr #13\n"
                       "add.w r6, r12, r6, lsl #1\n"
                       "add r10, r12, r10, lsl #1\n"
                       "add.w r7, lr, r7, asr #13\n"
                       "add r11, lr, r11, asr #13\n"
                       "6:\n"
                       "ldr.w r2, " EDGEQ_F_SUM0 "\n"
                       "ldr.w r3, " EDGEQ_F_SUM1 "\n"
                       "sub.w r4, r4, r2, lsl #1\n"
                       "sub.w r6, r6, r2, lsl #1\n"
                       "sub r8, r8, r3, lsl #1\n"
                       "sub r10, r10, r3, lsl #1\n" EDGEQ_PAIR_LEAVE
                       /* the end of one chunk of several: sums of rows 1 and 3 go to the frame */
                       "4:\n"
                       "ldr r2, [sp, #16]\n"
                       "ldr r3, [sp, #20]\n"
                       "ldr r12, [sp, #24]\n"
                       "ldr lr, [sp, #28]\n"
                       "add.w r2, r2, r5, asr #14\n"
                       "add.w r3, r3, r7, asr #14\n"
                       "add r12, r12, r9, asr #14\n"
                       "add lr, lr, r11, asr #14\n"
                       "ldr r5, " EDGEQ_F_END "\n"
                       "cmp r1, r5\n"
                       "beq 5f\n"
                       "str r2, [sp, #16]\n"
                       "str r3, [sp, #20]\n"
                       "str r12, [sp, #24]\n"
                       "str lr, [sp, #28]\n"
                       "stm sp, {r4, r6, r8, r10}\n"
                       "mov r5, r4\n"
                       "mov r7, r6\n"
                       "mov r9, r8\n"
                       "mov r11, r10\n"
                       "addw r2, r1, #2047\n"
                       "str r2, " EDGEQ_F_CHUNK_END "\n"
                       "movw r2, #0xC003\n"
                       "movt r2, #0xC003\n"
                       "b.w 1b\n"
                       "5:\n"
                       "mov r5, r2\n"
                       "mov r7, r3\n"
                       "mov r9, r12\n"
                       "mov r11, lr\n"
                       "ldr r2, " EDGEQ_F_FIRST_END "\n"
                       "str r2, " EDGEQ_F_CHUNK_END "\n" CLEAR_HIGH EDGEQ_PAIR_BIAS_TWICE
                       "add.w r4, r2, r4, lsl #1\n"
                       "add r8, r2, r8, lsl #1\n"
                       "add.w r5, r3, r5, lsl #1\n"
                       "add r9, r3, r9, lsl #1\n"
                       "add.w r6, r12, r6, lsl #1\n"
                       "add r10, r12, r10, lsl #1\n"
                       "add.w r7, lr, r7, lsl #1\n"
                       "add r11, lr, r11, lsl #1\n"
                       "b.w 6b\n");
}

static void kernel(const edgeq_pair_job *job) {
    int32_t first = job->pairs - ((job->pairs - 1) & ~(EDGEQ_CHUNK_PAIRS - 1));
    edgeq_pair_run(pair_rows, job, (-(first >> 2) & 3) * EIGHT_BYTES);
}
#else
#define MASK 0xC003C003u

static void kernel(const edgeq_pair_job *job) {
    for (int32_t r = 0; r < job->rows; r += 2) {
        const uint32_t *w = job->weight + (r >> 2) * (job->pairs >> 1) + ((r >> 1) & 1);
        for (int32_t i = 0; i < 2; i++) {
            int32_t low = 0;
            int32_t high = 0;
            int32_t both = 0;
            for (int32_t k = 0; k < job->pairs; k++) {
                uint32_t word = w[(k >> 2) * 2];
                uint32_t turned = word >> (k & 3) * 4 | (word << 1) << (31 - (k & 3) * 4);
                both = edgeq_smlad(turned & MASK, job->patch[2 * k + i], both);
                if ((k & 15) == 15 || k + 1 == job->pairs) {
                    int32_t a = ((both & 0x3FFF) ^ 0x2000) - 0x2000;
                    low += a;
                    high += (both - a) >> 14;
                    both = 0;
                }
            }
            low -= job->sum[i];
            job->y[i][r] = edgeq_pair_output((uint32_t)low + (uint32_t)job->bias[r],
                                             job->multiplier[r], job->shift[r], job->rounding);
            job->y[i][r + 1] =
                edgeq_pair_output((uint32_t)high + (uint32_t)job->bias[r + 1],
                                  job->multiplier[r + 1], job->shift[r + 1], job->rounding);
        }
    }
}
#endif

void edgeq_conv_2d_s8_t2_dsp(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                             void *scratch) {
    edgeq_conv_2d_dsp(p, x, y, scratch, (edgeq_conv_format){kernel, 2, 8});
}
