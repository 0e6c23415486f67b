/* What the fully connected kernels with weights of 3 to 16 bits share on DSP cores.
 *
 * Rows are computed in groups: wide groups while enough outputs are left, then narrow ones, whose
 * missing rows have weights of 0. Within a group the stream goes column pair by column pair, a few
 * words each. Columns are padded to a multiple of 8; their activations are 0. Activations are
 * spread over halves once a layer: of every four columns 0 and 2 share a word, then 1 and 3 (the
 * order in which SXTB16 takes them, the first in the low half), and the stream pairs them alike.
 */
#ifndef EDGEQ_FULLY_CONNECTED_DSP_H
#define EDGEQ_FULLY_CONNECTED_DSP_H

#include "edgeq_dsp.h"
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

/* 1 where accumulators may use all 32 bits: twice one would overflow, so SMULL takes SMMULR's
 * place, two cycles more an output. */
#ifndef EDGEQ_LONG_SUMS
#define EDGEQ_LONG_SUMS 0
#endif

/* to = from - less + products, for groups of rows one after the other with `columns` columns, a
 * multiple of 8 and at least 8. Rows that are stored without offset ignore `less`. `to` may be
 * `from`. count: of a wide product its groups; a narrow one is one group, whose first `count` rows
 * are wanted. */
typedef void edgeq_group_product(const uint32_t *w, const uint32_t *x, int32_t columns,
                                 const int32_t *from, int32_t *to, int32_t less, int32_t count);

typedef struct {
    int32_t rows;
    int32_t words; /* a column pair */
    edgeq_group_product *product;
} edgeq_row_group;

static inline int32_t edgeq_wrapping_add(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static inline int32_t edgeq_wrapping_sub(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a - (uint32_t)b);
}

static inline int32_t edgeq_padded_columns(int32_t n) {
    return ((n + 7) >> 3) << 3;
}

/* Eight activations of any address as signed halves; returns total + their sum. */
static inline int32_t edgeq_spread_eight(const int8_t *x, uint32_t *to, int32_t total) {
    const uint32_t ones = 0x00010001;
    uint32_t word[2];
    __builtin_memcpy(&word[0], x, sizeof word[0]);
    __builtin_memcpy(&word[1], x + 4, sizeof word[1]);
    for (int32_t i = 0; i < 2; i++) {
        uint32_t even = edgeq_sxtb16(word[i]);
        uint32_t odd = edgeq_sxtb16_ror8(word[i]);
        to[2 * i] = even;
        to[2 * i + 1] = odd;
        total = edgeq_smlad(odd, ones, edgeq_smlad(even, ones, total));
    }
    return total;
}

/* All activations, padded with 0; returns their sum. */
static inline int32_t edgeq_spread(const int8_t *x, int32_t n, uint32_t *to) {
    int32_t total = 0;
    int8_t last[8];
    for (; n >= 8; n -= 8, x += 8, to += 4) {
        total = edgeq_spread_eight(x, to, total);
    }
    if (n > 0) {
        for (int32_t i = 0; i < 8; i++) {
            last[i] = (int8_t)(i < n ? x[i] : 0);
        }
        total = edgeq_spread_eight(last, to, total);
    }
    return total;
}

/* Closes a loop over groups of `rows` rows that began at label 0, r4 at this group's sums. On the
 * stack: the first activation, the end of all, where sums come from and go to, the offset's total,
 * groups left; then the caller's r7, the end of the whole turns, lr. */
#define EDGEQ_NEXT_GROUP(rows)                                                                     \
    "ldr.w   r6, [sp, #20]\n\t"                                                                    \
    "ldr.w   r1, [sp]\n\t"                                                                         \
    "ldr.w   r3, [sp, #8]\n\t"                                                                     \
    "ldr.w   r5, [sp, #16]\n\t"                                                                    \
    "add.w   r3, r3, #4 * " #rows "\n\t"                                                           \
    "add.w   r4, r4, #4 * " #rows "\n\t"                                                           \
    "subs    r6, r6, #1\n\t"                                                                       \
    "str.w   r6, [sp, #20]\n\t"                                                                    \
    "str.w   r3, [sp, #8]\n\t"                                                                     \
    "str.w   r4, [sp, #12]\n\t"                                                                    \
    "bne.w   0b\n\t"                                                                               \
    "add     sp, sp, #24\n\t"                                                                      \
    "pop     {r7, r12, lr}\n\t" EDGEQ_BACK_R9

#if EDGEQ_LONG_SUMS
/* a is SRDHM(a, m): bits 31 to 62 of the product, and bit 30 to round. m is lost. */
#define EDGEQ_HIGH_PRODUCT(a, m)                                                                   \
    "smull   " m ", " a ", " a ", " m "\n\t"                                                       \
    "lsls.w  " m ", " m ", #1\n\t"                                                                 \
    "adc.w   " a ", " a ", " a "\n\t"                                                              \
    "add.w   " a ", " a ", " m ", lsr #31\n\t"
#else
#define EDGEQ_HIGH_PRODUCT(a, m)                                                                   \
    "lsl.w   " a ", " a ", #1\n\t"                                                                 \
    "smmulr  " a ", " a ", " m "\n\t"
#endif

static inline int32_t edgeq_high_product(int32_t acc, int32_t multiplier) {
#if EDGEQ_LONG_SUMS
    return edgeq_srdhm(acc, multiplier);
#else
    return edgeq_smmulr((int32_t)((uint32_t)acc << 1), multiplier);
#endif
}

/* y[i] of acc[i]; half: the doubled zero point and 1, added before the last of two shifts. */
static inline void edgeq_requantize_two(const int32_t *acc, const int32_t *multiplier,
                                        const int8_t *shift, int32_t half, int32_t pairs,
                                        int8_t *y) {
    const int8_t *end = y + 2 * pairs;
#if EDGEQ_DSP_ASM
    int32_t a0, a1, m0, m1, s0, s1;
    /* clang-format off */
    __asm__ volatile(
        ".p2align 2\n"
        "1:\n\t"
        "ldr.w   %[a0], [%[acc]], #4\n\t"
        "ldr.w   %[m0], [%[mul]], #4\n\t"
        "ldrsb   %[s0], [%[shift]], #1\n\t"
        "ldr.w   %[a1], [%[acc]], #4\n\t"
        "ldr.w   %[m1], [%[mul]], #4\n\t"
        "ldrsb   %[s1], [%[shift]], #1\n\t"
        EDGEQ_HIGH_PRODUCT("%[a0]", "%[m0]")
        EDGEQ_HIGH_PRODUCT("%[a1]", "%[m1]")
        "mvn.w   %[s0], %[s0]\n\t"
        "mvn.w   %[s1], %[s1]\n\t"
        "add.w   %[a0], %[a0], %[a0], asr #31\n\t"
        "add.w   %[a1], %[a1], %[a1], asr #31\n\t"
        "asr.w   %[a0], %[a0], %[s0]\n\t"
        "asr.w   %[a1], %[a1], %[s1]\n\t"
        "add.w   %[a0], %[a0], %[half]\n\t"
        "add.w   %[a1], %[a1], %[half]\n\t"
        "ssat    %[a0], #8, %[a0], asr #1\n\t"
        "ssat    %[a1], #8, %[a1], asr #1\n\t"
        "strb    %[a0], [%[y]], #1\n\t"
        "strb    %[a1], [%[y]], #1\n\t"
        "cmp     %[y], %[end]\n\t"
        "bne     1b"
        : [acc] "+r"(acc), [mul] "+r"(multiplier), [shift] "+r"(shift), [y] "+r"(y), [a0] "=&r"(a0),
          [a1] "=&r"(a1), [m0] "=&r"(m0), [m1] "=&r"(m1), [s0] "=&r"(s0), [s1] "=&r"(s1)
        : [half] "r"(half), [end] "r"(end)
        : "cc", "memory");
    /* clang-format on */
#else
    while (y != end) {
        int32_t v = edgeq_high_product(*acc++, *multiplier++);
        v = (((v + (v >> 31)) >> ~*shift++) + half) >> 1;
        v = v < -128 ? -128 : v;
        *y++ = (int8_t)(v > 127 ? 127 : v);
    }
#endif
}

static inline void edgeq_requantize_rows(const edgeq_fully_connected_params *p, int32_t at,
                                         const int32_t *acc, int32_t count, int8_t *y) {
    const int32_t *multiplier = p->multiplier + at;
    const int8_t *shift = p->shift + at;
    int32_t half = 2 * p->output_zero_point + 1;
    int32_t low = p->activation_min;
    int32_t high = p->activation_max;
    int32_t i = 0;
    y += at;
    if (low == -128 && high == 127 && count >= 2) {
        edgeq_requantize_two(acc, multiplier, shift, half, count >> 1, y);
        i = count & ~1;
    }
    for (; i < count; i++) {
        int32_t v = edgeq_high_product(acc[i], multiplier[i]);
        v = (((v + (v >> 31)) >> ~shift[i]) + half) >> 1;
        v = v < low ? low : v;
        y[i] = (int8_t)(v > high ? high : v);
    }
}

/* A product takes at most `chunk` columns. Inlined into its one caller, where the groups are known:
 * all outputs of a block are summed before they are requantised. */
static inline void edgeq_fully_connected_dsp(const edgeq_fully_connected_params *p, const int8_t *x,
                                             int8_t *y, uint32_t *spread, edgeq_row_group wide,
                                             edgeq_row_group narrow, int32_t chunk,
                                             int32_t offset) {
    enum { BLOCK = 48 };
    int32_t acc[BLOCK];
    const uint32_t *w = p->weight;
    int32_t columns = edgeq_padded_columns(p->inputs);
    int32_t less = edgeq_spread(x, p->inputs, spread) * offset;
    int32_t block = BLOCK / wide.rows * wide.rows;
    for (int32_t done = 0; done < p->outputs; done += block) {
        const int32_t *bias = p->bias + done;
        int32_t count = p->outputs - done < block ? p->outputs - done : block;
        int32_t row = 0;
        int32_t groups = columns > chunk ? 1 : count / wide.rows;
        for (; row + wide.rows <= count; row += groups * wide.rows) {
            int32_t n = columns < chunk ? columns : chunk;
            wide.product(w, spread, n, bias + row, acc + row, less, groups);
            w += (n >> 1) * wide.words * groups;
            for (int32_t at = n; at < columns; at += n) {
                n = columns - at < chunk ? columns - at : chunk;
                wide.product(w, spread + (at >> 1), n, acc + row, acc + row, 0, 1);
                w += (n >> 1) * wide.words;
            }
        }
        for (; row < count; row += narrow.rows) {
            int32_t i = row;
            for (; i < row + narrow.rows && i < count; i++) {
                acc[i] = bias[i];
            }
            for (; i < row + narrow.rows; i++) {
                acc[i] = 0;
            }
            int32_t n;
            for (int32_t at = 0; at < columns; at += n) {
                n = columns - at < chunk ? columns - at : chunk;
                int32_t once = at == 0 ? less : 0;
                narrow.product(w, spread + (at >> 1), n, acc + row, acc + row, once, count - row);
                w += (n >> 1) * narrow.words;
            }
        }
        edgeq_requantize_rows(p, done, acc, count, y);
    }
}

#endif
