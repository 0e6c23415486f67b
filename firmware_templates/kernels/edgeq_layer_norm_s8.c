/* LayerNorm in integers: t / sqrt(D) with t = n x - S1 and D = n S2 - S1^2 + epsilon, in Q11. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

enum { FRACTION_BITS = 11 };

/* 2^30 / sqrt(d) at the middle of 24 intervals of d in [0.25, 1). */
static const uint32_t rsqrt_start[24] = {
    2083365155u, 1970666148u, 1874477404u, 1791125178u, 1717986918u, 1653133683u,
    1595110809u, 1542797797u, 1495315679u, 1451963954u, 1412176548u, 1375490368u,
    1341522400u, 1309952745u, 1280511845u, 1252970736u, 1227133513u, 1202831433u,
    1179918260u, 1158266544u, 1137764631u, 1118314230u, 1099828424u, 1082230034u,
};

/* 2^30 / sqrt(d / 2^32) for d in [2^30, 2^32): three Newton steps. */
static uint32_t rsqrt_q30(uint32_t d) {
    uint32_t r = rsqrt_start[(d >> 27) - 8];
    for (int32_t i = 0; i < 3; i++) {
        uint32_t error = (3u << 28) - edgeq_high_multiply(d, edgeq_high_multiply(r, r));
        r = (uint32_t)(((uint64_t)r * error) >> 29);
    }
    return r;
}

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
    int64_t r = rsqrt_q30((uint32_t)(((uint64_t)d << zeros) >> 32));
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
