/* FullyConnected with a scale a block on two cells and more, ternary weights, two rows in a half.
 *
 * Stream, see edgeq_block_cells_dsp.h: of each block the words of edgeq_conv_2d_s8_t2_dsp.c and
 * behind them two of its scales, of rows (0, 1) and (2, 3): the first row's in the low half, four
 * times the second's in the high one. Blocks of 128 are two of 64 with one scale.
 *
 * Exact: sums begin with minus the block's sum of activations, so that row a's part, the lowest 14
 * bits, is sum x * w as a signed number: within -2^13 .. 2^13 - 1, since a block of 64 weights of
 * -1, whose sum could be 2^13, is stored as weights of 1 and a negative scale. What is left is row
 * b's sum times 2^14; SMLAWT of it takes 16 bits from its product with four times the scale.
 *
 * Example, scales of 3 and -1: word FFFC0003.
 */
#include "edgeq_block_cells_dsp.h"

enum { HEAD = 4, PAIR_BYTES = 34, UNROLLED = 16 };

static inline void start(int32_t *starts) {
    starts[0] = -starts[0];
    starts[1] = -starts[1];
}

#if EDGEQ_DSP_ASM
/* 64 multiplies in 36 cycles, as in edgeq_conv_2d_s8_t2_dsp.c: a mask serves both cells. Sums are
 * in the odd registers r5..r11, the even ones hold activations. */
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
/* Both rows of a sum in b, times their scales. */
#define TIMES(a, b, scales)                                                                        \
    "sbfx " a ", " b ", #0, #14\n"                                                                 \
    "sub.w " b ", " b ", " a "\n"                                                                  \
    "smulbb " a ", " a ", " scales "\n"                                                            \
    "smulwt " b ", " b ", " scales "\n"
/* On top of what the frame holds. */
#define ADD_TIMES(a, b, scales, at, next)                                                          \
    "ldr.w r12, [sp, #" at "]\n"                                                                   \
    "ldr.w lr, [sp, #" next "]\n"                                                                  \
    "sbfx " a ", " b ", #0, #14\n"                                                                 \
    "sub.w " b ", " b ", " a "\n"                                                                  \
    "smlabb " a ", " a ", " scales ", r12\n"                                                       \
    "smlawt " b ", " b ", " scales ", lr\n"

/* clang-format off */
__attribute__((naked, noinline)) static void kernel(EDGEQ_UNUSED const edgeq_pair_job *job) {
    __asm__(EDGEQ_CELLS_ENTER
            ".balign 4\n"
            "2:\n"
            "ldr r1, " EDGEQ_F_PATCH "\n"
            "6:\n"
            "ldm r1!, {r2, r3, r5, r9}\n"
            "ldr.w lr, " EDGEQ_F_ENTRY "\n"
            "add r2, r2, r1\n"
            "add lr, lr, r3\n"
            "str r2, " EDGEQ_CELLS_BLOCK_END "\n"
            "mov r7, r5\n"
            "mov r11, r9\n"
            "movw r2, #0xC003\n"
            "movt r2, #0xC003\n"
            "bx lr\n"
            ".balign 4\n"
            "1:\n" EDGEQ_REPEAT(4, EIGHT)
            "ldr r3, " EDGEQ_CELLS_BLOCK_END "\n"
            "cmp r1, r3\n"
            "bne.w 1b\n"
            "ldr r4, " EDGEQ_F_FIRST_END "\n"
            "ldm r0!, {r2, r3}\n"
            "cmp r1, r4\n"
            "bne.w 4f\n"
            TIMES("r4", "r5", "r2") TIMES("r6", "r7", "r3")
            TIMES("r8", "r9", "r2") TIMES("r10", "r11", "r3")
            "ldr r3, " EDGEQ_CELLS_END "\n"
            "cmp r1, r3\n"
            "bne.w 3f\n"
            "5:\n" EDGEQ_CELLS_BIAS EDGEQ_PAIR_LEAVE
            "4:\n"
            ADD_TIMES("r4", "r5", "r2", "0", "4") ADD_TIMES("r6", "r7", "r3", "8", "12")
            ADD_TIMES("r8", "r9", "r2", "16", "20") ADD_TIMES("r10", "r11", "r3", "24", "28")
            "ldr r3, " EDGEQ_CELLS_END "\n"
            "cmp r1, r3\n"
            "beq.w 5b\n"
            "3:\n"
            "stm sp, {r4-r11}\n"
            "b.w 6b\n");
}
/* clang-format on */
#else
#define MASK 0xC003C003u

/* Two rows of a block: the lowest 14 bits, signed, and what is left. */
static void two_rows(const uint32_t *x, const uint32_t *w, int32_t pairs, int32_t sum,
                     int32_t rows[2]) {
    for (int32_t k = 0; k < pairs; k++) {
        uint32_t turn = (uint32_t)(k & 3) * 4;
        uint32_t turned = w[(k >> 2) * 2] >> turn | (w[(k >> 2) * 2] << 1) << (31 - turn);
        sum = edgeq_smlad(turned & MASK, x[2 * k], sum);
    }
    rows[0] = ((sum & 0x3FFF) ^ 0x2000) - 0x2000;
    rows[1] = (sum - rows[0]) >> 14;
}

static void sums(const edgeq_pair_job *job, const uint32_t *w, int32_t i, uint32_t sum[4]) {
    const uint32_t *x = job->patch;
    const uint32_t *end = x + (job->length >> 2);
    while (x != end) {
        int32_t pairs = (int32_t)(x[EDGEQ_HEAD_BYTES] >> 3);
        int32_t first = (int32_t)x[EDGEQ_HEAD_STARTS + i];
        const uint32_t *scales = w + (pairs >> 1);
        for (int32_t half = 0; half < 2; half++) {
            int32_t rows[2];
            two_rows(x + HEAD + i, w + half, pairs, first, rows);
            int32_t b = edgeq_high_half(scales[half]) >> 2;
            sum[2 * half] += (uint32_t)(rows[0] * edgeq_low_half(scales[half]));
            sum[2 * half + 1] += (uint32_t)(rows[1] * b);
        }
        w = scales + 2;
        x += HEAD + 2 * pairs;
    }
}

static void kernel(const edgeq_pair_job *job) {
    edgeq_cells_twin(*job, sums, edgeq_cells_stream(job, HEAD, 4, 2));
}
#endif

/* clang-format off */
EDGEQ_KERNEL EDGEQ_SMALL void edgeq_block_fully_connected_s8_t2_cells_dsp(
    const edgeq_block_fully_connected_params *p, const int8_t *x, int8_t *y, void *scratch) {
    /* clang-format on */
    edgeq_block_cells_dsp(
        p, x, y, scratch,
        (edgeq_cells_format){kernel, start, HEAD, 8, 64, UNROLLED, PAIR_BYTES, 0});
}
