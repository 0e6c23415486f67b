/* Rows of weights times one vector of activations, two rows and sixteen columns at a time, on the
 * packed rows of the plain kernels. Sixteen codes become bytes in a register:
 *
 *   s8  sixteen bytes as they are
 *   s4  eight bytes, each widened to a half: b | b << 4 has the upper nibble in the upper byte
 *   t2  four bytes, each widened to a word: b | b << 12 has codes 2 and 3 in the upper half, and
 *       h | h << 6 of a half has its second code in its upper byte
 *
 * What is behind a row's end is neither read nor counted: loads there are predicated off.
 */
#ifndef EDGEQ_ROWS_MVE_H
#define EDGEQ_ROWS_MVE_H

#include "edgeq_kernels.h"
#include "edgeq_mve.h"

#if EDGEQ_MVE
static inline int8x16_t edgeq_nibbles_mve(uint16x8_t bytes) {
    int8x16_t nibbles = vreinterpretq_s8_u16(vsliq_n_u16(bytes, bytes, 4));
    return vshrq_n_s8(vshlq_n_s8(nibbles, 4), 4);
}

static inline int8x16_t edgeq_trits_mve(uint32x4_t bytes) {
    uint16x8_t pairs = vreinterpretq_u16_u32(vsliq_n_u32(bytes, bytes, 12));
    int8x16_t codes = vreinterpretq_s8_u16(vsliq_n_u16(pairs, pairs, 6));
    return vsubq_n_s8(vandq_s8(codes, vdupq_n_s8(3)), 1);
}

/* Sixteen weights of a row, as signed bytes. */
typedef int8x16_t edgeq_whole_mve(const uint8_t *row);
/* The `rest` of a row that has fewer than sixteen left; undefined from there on. */
typedef int8x16_t edgeq_part_mve(const uint8_t *row, uint32_t rest);

static inline int8x16_t edgeq_whole_s8_mve(const uint8_t *row) {
    return vldrbq_s8((const int8_t *)row);
}

static inline int8x16_t edgeq_part_s8_mve(const uint8_t *row, uint32_t rest) {
    return vldrbq_z_s8((const int8_t *)row, vctp8q(rest));
}

static inline int8x16_t edgeq_whole_s4_mve(const uint8_t *row) {
    return edgeq_nibbles_mve(vldrbq_u16(row));
}

static inline int8x16_t edgeq_part_s4_mve(const uint8_t *row, uint32_t rest) {
    return edgeq_nibbles_mve(vldrbq_z_u16(row, vctp16q((rest + 1u) >> 1)));
}

static inline int8x16_t edgeq_whole_t2_mve(const uint8_t *row) {
    return edgeq_trits_mve(vldrbq_u32(row));
}

static inline int8x16_t edgeq_part_t2_mve(const uint8_t *row, uint32_t rest) {
    return edgeq_trits_mve(vldrbq_z_u32(row, vctp32q((rest + 3u) >> 2)));
}

/* How the rows of a format are read, and the bytes that sixteen weights are. */
typedef struct {
    edgeq_whole_mve *whole;
    edgeq_part_mve *part;
    int32_t step_bytes;
} edgeq_codes_mve;

typedef struct {
    const uint8_t *weight;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t inputs;
    int32_t outputs;
    int32_t row_bytes;
    int32_t input_zero_point;
    int32_t output_zero_point;
    int32_t low;
    int32_t high;
} edgeq_rows_mve;

/* Two rows' sums of products and of weights. */
typedef struct {
    int32_t dot[2];
    int32_t sum[2];
} edgeq_pair_mve;

static inline edgeq_pair_mve edgeq_two_rows_mve(int32_t inputs, const uint8_t *a, const uint8_t *b,
                                                const int8_t *x, edgeq_codes_mve codes) {
    int32_t dot_a = 0, dot_b = 0, sum_a = 0, sum_b = 0;
    for (int32_t turn = inputs >> 4; turn > 0; turn--) {
        int8x16_t given = vldrbq_s8(x), of_a = codes.whole(a), of_b = codes.whole(b);
        dot_a = vmladavaq_s8(dot_a, given, of_a);
        dot_b = vmladavaq_s8(dot_b, given, of_b);
        sum_a = vaddvaq_s8(sum_a, of_a);
        sum_b = vaddvaq_s8(sum_b, of_b);
        x += 16;
        a += codes.step_bytes;
        b += codes.step_bytes;
    }
    uint32_t rest = (uint32_t)inputs & 15u;
    mve_pred16_t some = vctp8q(rest);
    int8x16_t given = vldrbq_z_s8(x, some);
    int8x16_t of_a = codes.part(a, rest), of_b = codes.part(b, rest);
    const edgeq_pair_mve pair = {
        {vmladavaq_s8(dot_a, given, of_a), vmladavaq_s8(dot_b, given, of_b)},
        {vaddvaq_p_s8(sum_a, of_a, some), vaddvaq_p_s8(sum_b, of_b, some)}};
    return pair;
}

/* Sums of the rows at w[0] to w[3]: sum (x - zero) w = sum x w - zero sum w. */
static inline int32x4_t edgeq_quad_mve(const edgeq_rows_mve *p, const uint8_t *const w[4],
                                       const int8_t *x, edgeq_codes_mve codes) {
    edgeq_pair_mve low = edgeq_two_rows_mve(p->inputs, w[0], w[1], x, codes);
    edgeq_pair_mve high = edgeq_two_rows_mve(p->inputs, w[2], w[3], x, codes);
    int32_t zero = p->input_zero_point;
    int32_t sums[4] = {low.dot[0] - zero * low.sum[0], low.dot[1] - zero * low.sum[1],
                       high.dot[0] - zero * high.sum[0], high.dot[1] - zero * high.sum[1]};
    return vldrwq_s32(sums);
}

/* All outputs. Where fewer than four rows are left, the last one stands for those behind it, and
 * nothing is stored for them. */
static inline void edgeq_outputs_mve(const edgeq_rows_mve *p, const int8_t *x, int8_t *y,
                                     edgeq_codes_mve codes) {
    const uint8_t *last = p->weight + (p->outputs - 1) * p->row_bytes;
    for (int32_t k = 0; k < p->outputs; k += 4) {
        const uint8_t *rows[4];
        rows[0] = p->weight + k * p->row_bytes;
        for (int32_t r = 1; r < 4; r++) {
            const uint8_t *next = rows[r - 1] + p->row_bytes;
            rows[r] = next > last ? last : next;
        }
        mve_pred16_t some = vctp32q((uint32_t)(p->outputs - k));
        int32x4_t sums = edgeq_quad_mve(p, rows, x, codes);
        int32x4_t acc = vaddq_s32(sums, vldrwq_z_s32(p->bias + k, some));
        int32x4_t out = edgeq_requantize_mve(acc, vldrwq_z_s32(p->multiplier + k, some),
                                             vldrbq_z_s32(p->shift + k, some), p->output_zero_point,
                                             p->low, p->high);
        vstrbq_p_s32(y + k, out, some);
    }
}
#endif

#endif
