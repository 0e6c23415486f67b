/* LayerNorm in integers: t / sqrt(D) with t = n x - S1 and D = n S2 - S1^2 + epsilon, in Q11. */
#include "edgeq_kernels.h"
#include "edgeq_rsqrt.h"

enum { FRACTION_BITS = 11 };

static void normalize_row(const edgeq_layer_norm_params *p, const int8_t *x, int8_t *y) {
    int32_t n = p->features;
    int32_t s1 = 0;
    int32_t s2 = 0;
    for (int32_t i = 0; i < n; i++) {
        s1 += x[i];
        s2 += x[i] * x[i];
    }
    int64_t d = (int64_t)n * s2 - (int64_t)s1 * s1 + p->epsilon;
    int32_t zeros = edgeq_leading_zeros_64((uint64_t)d) & ~1;
    int32_t r_shift = 62 - FRACTION_BITS - (zeros >> 1);
    int64_t r = edgeq_rsqrt_q30((uint32_t)(((uint64_t)d << zeros) >> 32));
    int64_t r_half = (int64_t)1 << (r_shift - 1);
    int32_t half = 1 << (p->shift - 1);
    /* (n x - s1)^2 <= n d, so |z| <= 2^11 sqrt(n) + 1 < 2^20: its low word is all of it. A word is
     * clamped by one-cycle instructions; for two words GCC loads a bound under a condition. */
    for (int32_t i = 0; i < n; i++) {
        int32_t z = (int32_t)(((n * x[i] - s1) * r + r_half) >> r_shift);
        int32_t acc = edgeq_clamp(z, -32768, 32767) * p->gamma[i] + p->beta[i];
        y[i] = (int8_t)edgeq_clamp(((acc + half) >> p->shift) + p->output_zero_point,
                                   p->activation_min, p->activation_max);
    }
}

EDGEQ_KERNEL void edgeq_layer_norm_s8(const edgeq_layer_norm_params *p, const int8_t *x,
                                      int8_t *y) {
    for (int32_t i = 0; i < p->rows; i++) {
        normalize_row(p, x + i * p->features, y + i * p->features);
    }
}
