/* FullyConnected with a scale a block on two cells and more, 4-bit weights, four rows in a half.
 *
 * Stream, see edgeq_block_cells_dsp.h: of each block the words of edgeq_conv_2d_s8_s4_dsp.c and
 * behind them one of its scales, a byte a row. Prefixes of rows begin with -8 times the block's sum
 * of activations and with -8 * 257 times it, which takes the offsets of rows 0 and 2 back.
 * Exact: in a block of 128 columns row 3 has |sum| <= 128 * 7 * 128 < 2^19, and so on down.
 *
 * Example, scales of [1 2 3 4]: word 04030201.
 */
#include "edgeq_block_cells_dsp.h"

#if EDGEQ_SHORT_LOOPS
#define UNROLLED 8
#else
#define UNROLLED 16
#endif
enum { HEAD = 6, PAIR_BYTES = 56 };

static inline void start(int32_t *starts) {
    starts[2] = -8 * starts[1];
    starts[3] = -8 * 257 * starts[1];
    starts[1] = -8 * 257 * starts[0];
    starts[0] = -8 * starts[0];
}

#if EDGEQ_DSP_ASM
/* 16 multiplies in 15 cycles, every instruction four bytes, as in edgeq_conv_2d_s8_s4_dsp.c. The
 * last pair of a turn loads the block's end. */
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
/* The sums of a row, of both cells, times its scale. */
#define TIMES(a, b, turn)                                                                          \
    "uxtb.w r2, r12" turn "\n"                                                                     \
    "mul " a ", " a ", r2\n"                                                                       \
    "mul " b ", " b ", r2\n"
/* On top of what the frame holds. */
#define ADD_TIMES(a, b, at, of, turn)                                                              \
    "ldr.w r3, [sp, #" at "]\n"                                                                    \
    "ldr.w lr, [sp, #" of "]\n"                                                                    \
    "uxtb.w r2, r12" turn "\n"                                                                     \
    "mla " a ", " a ", r2, r3\n"                                                                   \
    "mla " b ", " b ", r2, lr\n"

/* clang-format off */
__attribute__((naked, noinline)) static void kernel(EDGEQ_UNUSED const edgeq_pair_job *job) {
    __asm__(EDGEQ_CELLS_ENTER
            ".balign 4\n"
            "2:\n"
            "ldr r1, " EDGEQ_F_PATCH "\n"
            /* a block: its first pair starts the accumulators */
            "6:\n"
            "ldm r1!, {r2, r3, r5, r7, r9, r11}\n"
            "ldr.w lr, " EDGEQ_F_ENTRY "\n"
            "add r2, r2, r1\n"
            "add lr, lr, r3\n"
            "str r2, " EDGEQ_CELLS_BLOCK_END "\n"
            LOADS
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
            "1:\n" EDGEQ_REPEAT(UNROLLED - 1, LOADS PREFIXES)
            LOADS "ldr.w lr, " EDGEQ_CELLS_BLOCK_END "\n" PREFIXES
            "cmp.w r1, lr\n"
            "bne.w 1b\n"
            "ldr.w r12, [r0], #4\n"
            "ldr r2, " EDGEQ_F_FIRST_END "\n"
            "ldr r3, " EDGEQ_CELLS_END "\n"
            "sub.w r7, r7, r6\n"
            "sub.w r6, r6, r5\n"
            "sub.w r5, r5, r4\n"
            "sub.w r11, r11, r10\n"
            "sub.w r10, r10, r9\n"
            "sub.w r9, r9, r8\n"
            "asr.w r5, r5, #4\n"
            "asr.w r6, r6, #8\n"
            "asr.w r7, r7, #12\n"
            "asr.w r9, r9, #4\n"
            "asr.w r10, r10, #8\n"
            "asr.w r11, r11, #12\n"
            "cmp r1, r2\n"
            "bne.w 4f\n"
            TIMES("r4", "r8", "") TIMES("r5", "r9", ", ror #8")
            TIMES("r6", "r10", ", ror #16") TIMES("r7", "r11", ", ror #24")
            "cmp r1, r3\n"
            "bne.w 3f\n"
            "5:\n" EDGEQ_CELLS_BIAS EDGEQ_PAIR_LEAVE
            "4:\n"
            ADD_TIMES("r4", "r8", "0", "16", "") ADD_TIMES("r5", "r9", "4", "20", ", ror #8")
            ADD_TIMES("r6", "r10", "8", "24", ", ror #16")
            ADD_TIMES("r7", "r11", "12", "28", ", ror #24")
            "ldr r3, " EDGEQ_CELLS_END "\n"
            "cmp r1, r3\n"
            "beq.w 5b\n"
            "3:\n"
            "stm sp, {r4-r11}\n"
            "b.w 6b\n");
}
/* clang-format on */
#else
static void sums(const edgeq_pair_job *job, const uint32_t *w, int32_t i, uint32_t sum[4]) {
    const uint32_t *x = job->patch;
    const uint32_t *end = x + (job->length >> 2);
    while (x != end) {
        const uint32_t *start = x + EDGEQ_HEAD_STARTS + 2 * i;
        const uint32_t *last = x + HEAD + (x[EDGEQ_HEAD_BYTES] >> 2);
        int32_t prefix[4] = {(int32_t)start[0], (int32_t)start[0], (int32_t)start[1],
                             (int32_t)start[1]};
        for (x += HEAD; x != last; x += 2, w++) {
            prefix[0] = edgeq_smlad(*w & 0x000F000Fu, x[i], prefix[0]);
            prefix[1] = edgeq_smlad(edgeq_sxtb16(*w), x[i], prefix[1]);
            prefix[2] = edgeq_smlad(*w & 0x0FFF0FFFu, x[i], prefix[2]);
            prefix[3] = edgeq_smlad(*w, x[i], prefix[3]);
        }
        for (int32_t row = 0; row < 4; row++) {
            uint32_t below = row > 0 ? (uint32_t)prefix[row - 1] : 0;
            int32_t made = (int32_t)((uint32_t)prefix[row] - below) >> (4 * row);
            sum[row] += (uint32_t)(made * (int32_t)(*w >> (8 * row) & 0xFF));
        }
        w++;
    }
}

static void kernel(const edgeq_pair_job *job) {
    edgeq_cells_twin(*job, sums, edgeq_cells_stream(job, HEAD, 3, 1));
}
#endif

/* clang-format off */
EDGEQ_KERNEL EDGEQ_SMALL void edgeq_block_fully_connected_s8_s4_cells_dsp(
    const edgeq_block_fully_connected_params *p, const int8_t *x, int8_t *y, void *scratch) {
    /* clang-format on */
    edgeq_block_cells_dsp(
        p, x, y, scratch,
        (edgeq_cells_format){kernel, start, HEAD, 4, 128, UNROLLED, PAIR_BYTES, 1});
}
