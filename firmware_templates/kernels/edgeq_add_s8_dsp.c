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

/* The product has the sign of what is multiplied, or it is 0 and rounds to 0 with either. */
static inline int8_t edgeq_sum_of(const edgeq_sum *s, int32_t plain, int32_t other) {
    int32_t v = s->other_start + other * (1 << 21);
    v = edgeq_smmlar(v, s->multiplier, s->rounding + (v >> 31)) >> s->shift;
    int32_t twice = s->plain_start + plain * (1 << 20) + 2 * v;
    v = edgeq_smmlar(twice, s->factor, s->last_rounding + (twice >> 31));
    return (int8_t)edgeq_saturate_half(v >> s->last_shift);
}

#if EDGEQ_DSP_ASM
EDGEQ_AT(edgeq_sum, plain_start, 0);
EDGEQ_AT(edgeq_sum, other_start, 4);
EDGEQ_AT(edgeq_sum, multiplier, 8);
EDGEQ_AT(edgeq_sum, shift, 12);
EDGEQ_AT(edgeq_sum, rounding, 16);
EDGEQ_AT(edgeq_sum, factor, 20);
EDGEQ_AT(edgeq_sum, last_shift, 24);
EDGEQ_AT(edgeq_sum, last_rounding, 28);

/* edgeq_sum_of, other in `to`, plain in lr. */
#define SUM(to, t)                                                                                 \
    "add.w " to ", r5, " to ", lsl #21\n"                                                          \
    "add.w " t ", r8, " to ", asr #31\n"                                                           \
    "smmlar " to ", " to ", r6, " t "\n"                                                           \
    "add.w lr, r4, lr, lsl #20\n"                                                                  \
    "asr.w " to ", " to ", r7\n"                                                                   \
    "add.w " to ", lr, " to ", lsl #1\n"                                                           \
    "add.w lr, r11, " to ", asr #31\n"                                                             \
    "smmlar " to ", " to ", r9, lr\n"                                                              \
    "asr.w " to ", " to ", r10\n"                                                                  \
    "ssat " to ", #8, " to ", asr #1\n"
#define NEXT(to, t, at)                                                                            \
    "ldrsb.w " to ", [r2, #" at "]\n"                                                              \
    "ldrsb.w lr, [r1, #" at "]\n"                                                                  \
    "strb.w " t ", [r3], #1\n" SUM(to, t)

/* Fours up to `end`; r4 to r11 are the sum's members. A byte is stored behind the loads of the
 * next one, where that costs nothing; y may be an input all the same. */
__attribute__((naked, noinline)) static void fours(const edgeq_sum *s __attribute__((unused)),
                                                   const int8_t *plain __attribute__((unused)),
                                                   const int8_t *other __attribute__((unused)),
                                                   int8_t *y __attribute__((unused)),
                                                   const int8_t *end __attribute__((unused))) {
    /* clang-format off */
    __asm__("push {r4-r11, lr}\n"
            "ldm.w r0, {r4-r11}\n"
            "ldr.w r0, [sp, #36]\n"
            "cmp.w r3, r0\n"
            "beq.w 2f\n"
            ".balign 4\n"
            "1:\n"
            "ldrsb.w r0, [r2], #4\n"
            "ldrsb.w lr, [r1], #4\n"
            SUM("r0", "r12")
            NEXT("r12", "r0", "-3")
            NEXT("r0", "r12", "-2")
            NEXT("r12", "r0", "-1")
            "ldr.w r0, [sp, #36]\n"
            "strb.w r12, [r3], #1\n"
            "cmp.w r3, r0\n"
            "bne.w 1b\n"
            "2:\n"
            "pop {r4-r11, pc}\n");
    /* clang-format on */
}
#else
static void fours(const edgeq_sum *s, const int8_t *plain, const int8_t *other, int8_t *y,
                  const int8_t *end) {
    while (y != end) {
        *y++ = edgeq_sum_of(s, *plain++, *other++);
    }
}
#endif

static void edgeq_sums(const edgeq_sum *s, const int8_t *plain, const int8_t *other, int32_t size,
                       int8_t *y) {
    int32_t whole = size & ~3;
    EDGEQ_IN_MEMORY(s);
    fours(s, plain, other, y, y + whole);
    EDGEQ_IN_MEMORY(s);
    for (int32_t i = whole; i < size; i++) {
        y[i] = edgeq_sum_of(s, plain[i], other[i]);
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
