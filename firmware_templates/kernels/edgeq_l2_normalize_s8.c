/* Rows divided by the root of their sum of squares, as TensorFlow Lite Micro does it: 1 / sqrt by
 * gemmlowp's Newton iteration in Q3.28. Masks choose the side of a shift that depends on the input.
 */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

enum { HALF_SQRT_2 = 1518500250, ONE = 1 << 28, THREE_HALVES = 3 << 27 };

/* 2^31 / sqrt(d) of d in Q0.29, from a quarter on. */
static int32_t inverse_root(uint32_t d) {
    int32_t half = (int32_t)((d >> 1) + 1) >> 1, x = ONE;
    for (int32_t i = 0; i < 5; i++) {
        int32_t cubed = edgeq_srdhm(edgeq_srdhm(x, x), x) * 64;
        x = (edgeq_srdhm(x, THREE_HALVES) - edgeq_srdhm(half, cubed)) * 8;
    }
    return edgeq_srdhm(x, HALF_SQRT_2);
}

EDGEQ_KERNEL void edgeq_l2_normalize_s8(const edgeq_l2_normalize_params *p, const int8_t *x,
                                        int8_t *y) {
    for (int32_t row = 0; row < p->rows; row++, x += p->features, y += p->features) {
        int32_t sum = 0;
        for (int32_t i = 0; i < p->features; i++) {
            int32_t value = x[i] - p->input_zero_point;
            sum += value * value;
        }
        sum += sum == 0;
        int32_t pairs = (edgeq_leading_zeros_32((uint32_t)sum) - 1) >> 1;
        int32_t multiplier = inverse_root(((uint32_t)sum << (2 * pairs)) >> 2);
        int32_t shift = pairs - 5, right = shift >> 31;
        for (int32_t i = 0; i < p->features; i++) {
            int32_t value = x[i] - p->input_zero_point;
            int32_t raised = (int32_t)((uint32_t)value << (shift & ~right));
            int32_t scaled = edgeq_rdp(edgeq_srdhm(raised, multiplier), -shift & right);
            y[i] = (int8_t)edgeq_clamp(scaled, -128, 127);
        }
    }
}
