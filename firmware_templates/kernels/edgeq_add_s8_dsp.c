/* Add on DSP cores, one input at half the common scale, as one of both always is when they are
 * scaled to twice the larger one: doubled, its share of the sum is a shift. The other input's is
 * SRDHM, as SMMULR of its double, then a rounding divide.
 *
 * A multiplier of 2^30 with a shift of 0 halves exactly, and so does 2^31 - 1 with one of -1: on
 * even numbers SMMULR of 2^31 - 1 is half of them. So the other input may be at half scale, too.
 * The output's rounding is that of edgeq_conv_2d_pairs_dsp.h; the doubled sum stays below 2^30.
 */
#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

enum { HALF = 1 << 30 };

typedef struct {
    int32_t plain_start; /* -zero point << 20 */
    int32_t other_start; /* -zero point << 21 */
    int32_t multiplier;
    int32_t shift;         /* of the other input, to the right: 1 to 31 */
    int32_t rounding;      /* half of what that divides by */
    int32_t factor;        /* of the output */
    int32_t last_shift;    /* of the output, less 1 */
    int32_t last_rounding; /* with the zero point */
} edgeq_sum;

static inline int8_t edgeq_sum_of(const edgeq_sum *s, int32_t plain, int32_t other) {
    int32_t v = edgeq_smmulr(s->other_start + other * (1 << 21), s->multiplier);
    v = (v + (v >> 31) + s->rounding) >> s->shift;
    int32_t twice = s->plain_start + plain * (1 << 20) + 2 * v;
    v = edgeq_smmlar(twice, s->factor, s->last_rounding + (twice >> 31));
    return (int8_t)edgeq_saturate_half(v >> s->last_shift);
}

/* Byte i of a word. */
static inline int32_t edgeq_byte(uint32_t word, int32_t i) {
    return (int8_t)(uint8_t)(word >> (8 * i));
}

static void edgeq_sums(const edgeq_sum *of, const int8_t *plain, const int8_t *other, int32_t size,
                       int8_t *y) {
    edgeq_sum s = *of;
    const int8_t *end = y + (size & ~3);
    while (y != end) {
        uint32_t a = edgeq_load_word(plain);
        uint32_t b = edgeq_load_word(other);
        int8_t y0 = edgeq_sum_of(&s, edgeq_byte(a, 0), edgeq_byte(b, 0));
        int8_t y1 = edgeq_sum_of(&s, edgeq_byte(a, 1), edgeq_byte(b, 1));
        int8_t y2 = edgeq_sum_of(&s, edgeq_byte(a, 2), edgeq_byte(b, 2));
        int8_t y3 = edgeq_sum_of(&s, edgeq_byte(a, 3), edgeq_byte(b, 3));
        plain += 4;
        other += 4;
        y[0] = y0;
        y[1] = y1;
        y[2] = y2;
        y[3] = y3;
        y += 4;
    }
    for (size &= 3; size > 0; size--) {
        *y++ = edgeq_sum_of(&s, *plain++, *other++);
    }
}

EDGEQ_KERNEL void edgeq_add_s8_dsp(const edgeq_add_params *p, const int8_t *a, const int8_t *b,
                                   int8_t *y) {
    int32_t half = p->multiplier[0] == HALF && p->shift[0] == 0 ? 0 : 1;
    int32_t rest = 1 - half;
    edgeq_sum s;
    s.plain_start = -p->zero_point[half] * (1 << 20);
    s.other_start = -p->zero_point[rest] * (1 << 21);
    s.multiplier = p->shift[rest] == 0 ? INT32_MAX : p->multiplier[rest];
    s.shift = p->shift[rest] == 0 ? 1 : -p->shift[rest];
    s.rounding = 1 << (s.shift - 1);
    s.factor = p->multiplier[2];
    s.last_shift = -1 - p->shift[2];
    s.last_rounding = (2 * p->zero_point[2] + 1) * (1 << s.last_shift);
    edgeq_sums(&s, half == 0 ? a : b, half == 0 ? b : a, p->size, y);
    if (p->activation_max - p->activation_min != 255) { /* only saturated so far */
        for (int32_t i = 0; i < p->size; i++) {
            y[i] = (int8_t)edgeq_clamp(y[i], p->activation_min, p->activation_max);
        }
    }
}
