/* Fully connected layers whose groups of rows find all but their weights in one table, which stands
 * in the bias's place.
 *
 * Its first word is a sum: 1 if a shift is not one of -12 to -2, and 2 if a row's sum of |w| is
 * above what its kernel's source says. Then of each group, at last of the rows left, the doubled
 * biases, the multipliers, the divisors. Biases 5 and -1, multipliers of 2^30, shifts -9 and -10: 0
 * 0x0000000A 0xFFFFFFFE 0x40000000 0x40000000 0x00800001 0x00400001.
 *
 * The rounding divide of v by 2^s is SMMLAR with 2^(32 - s) + 1, as edgeq_conv_2d_pairs_dsp.h shows
 * for s from 2 to 12. In a layer with another shift, s - 1 is the number of zeros before the
 * divisor, and two shifts round.
 */
#ifndef EDGEQ_ROW_TABLE_DSP_H
#define EDGEQ_ROW_TABLE_DSP_H

#include "edgeq_fully_connected_dsp.h"

enum { EDGEQ_FAR_SHIFTS = 1, EDGEQ_LONG_ROWS = 2 };

/* table: of `rows` rows, from this one's bias on. */
static inline int8_t edgeq_table_output(const int32_t *table, int32_t rows, int32_t sum,
                                        int32_t zero_point) {
    int32_t v = edgeq_wrapping_add(table[0], edgeq_wrapping_add(sum, sum));
    v = edgeq_smmulr(v, table[rows]);
    v = (v + (v >> 31)) >> __builtin_clz((uint32_t)table[2 * rows]);
    return (int8_t)edgeq_saturate_half(v + 2 * zero_point + 1);
}

#if EDGEQ_DSP_ASM
/* What every group needs, to and from a register: in the FPU's, as a load would have to be waited
 * for, or in the frame where there is none. `what` is a single register and a place in the frame.
 */
#if defined(__ARM_PCS_VFP)
#define EDGEQ_ROWS_FPU                 ".fpu fpv4-sp-d16\n" /* zig takes this core to have none */
#define EDGEQ_PUT_AT(from, single, at) "vmov " single ", " from "\n"
#define EDGEQ_GET_AT(to, single, at)   "vmov " to ", " single "\n"
#else
#define EDGEQ_ROWS_FPU                 ""
#define EDGEQ_PUT_AT(from, single, at) "str.w " from ", [sp, #" at "]\n"
#define EDGEQ_GET_AT(to, single, at)   "ldr.w " to ", [sp, #" at "]\n"
#endif
#define EDGEQ_PUT(from, ...) EDGEQ_PUT_AT(from, __VA_ARGS__)
#define EDGEQ_GET(to, ...)   EDGEQ_GET_AT(to, __VA_ARGS__)
#define EDGEQ_X              "s0", "0"
#define EDGEQ_CHUNK_END      "s1", "4"
#define EDGEQ_ENTRY          "s2", "8"
#define EDGEQ_TABLE          "s3", "12"
#define EDGEQ_Y              "s4", "16"
#define EDGEQ_ZERO_POINT     "s5", "20"
#define EDGEQ_LAST           "s6", "24"

/* clang-format off */
#define EDGEQ_SCALE(a, m)                                                                          \
    "smmulr " a ", " a ", " m "\n"
/* zero_point: a register, as is `half` */
#define EDGEQ_DIVIDE(a, d, zero_point)                                                             \
    "smmlar " a ", " a ", " d ", " zero_point "\n"
#define EDGEQ_SATURATE(a)                                                                          \
    "ssat " a ", #8, " a "\n"
/* Any right shift, saturated; half: the doubled zero point and 1. */
#define EDGEQ_DIVIDE_FAR(a, d, half)                                                               \
    "clz " d ", " d "\n"                                                                           \
    "add.w " a ", " a ", " a ", asr #31\n"                                                         \
    "asr.w " a ", " a ", " d "\n"                                                                  \
    "add " a ", " half "\n"                                                                        \
    "ssat " a ", #8, " a ", asr #1\n"
/* clang-format on */
#endif

#endif
