/* GroupNorm and RMSNorm in integers: t / sqrt(D) with t = n x - S1 and D = n S2 - S1^2 + epsilon,
 * in Q11, of the cells and channels of a group. */
#include "edgeq_kernels.h"
#include "edgeq_rsqrt.h"

enum { FRACTION_BITS = 11 };

typedef struct {
    int32_t n;
    int32_t s1;
    int64_t inverse; /* of the deviation */
    int32_t shift;   /* of t * inverse */
} statistics;

/* n <= 65536 and |x - zero point| <= 255: s2 stays below 2^32. */
static statistics statistics_of(const edgeq_group_norm_params *p, const int8_t *x) {
    int32_t sum = 0;
    uint32_t s2 = 0;
    for (int32_t i = 0; i < p->cells; i++) {
        for (int32_t k = 0; k < p->width; k++) {
            int32_t value = x[k] - p->input_zero_point;
            sum += value;
            s2 += (uint32_t)(value * value);
        }
        x += p->groups * p->width;
    }
    statistics s = {p->cells * p->width, sum * p->centred, 0, 0};
    int64_t d = (int64_t)s.n * s2 - (int64_t)s.s1 * s.s1 + p->epsilon;
    int32_t zeros = edgeq_leading_zeros_64((uint64_t)d) & ~1;
    s.shift = 62 - FRACTION_BITS - (zeros >> 1);
    s.inverse = edgeq_rsqrt_q30((uint32_t)(((uint64_t)d << zeros) >> 32));
    return s;
}

/* t^2 <= n d, so |z| <= 2^11 sqrt(n) + 1 < 2^20: its low word is all of it. */
static void normalize(const edgeq_group_norm_params *p, const statistics *s, const int16_t *gamma,
                      const int32_t *beta, const int8_t *x, int8_t *y) {
    int64_t z_half = (int64_t)1 << (s->shift - 1);
    int32_t half = 1 << (p->shift - 1);
    for (int32_t i = 0; i < p->cells; i++) {
        for (int32_t k = 0; k < p->width; k++) {
            int32_t t = s->n * (x[k] - p->input_zero_point) - s->s1;
            int32_t z = (int32_t)((t * s->inverse + z_half) >> s->shift);
            int32_t acc = edgeq_clamp(z, -32768, 32767) * gamma[k] + beta[k];
            y[k] = (int8_t)edgeq_clamp(((acc + half) >> p->shift) + p->output_zero_point,
                                       p->activation_min, p->activation_max);
        }
        x += p->groups * p->width;
        y += p->groups * p->width;
    }
}

EDGEQ_KERNEL void edgeq_group_norm_s8(const edgeq_group_norm_params *p, const int8_t *x,
                                      int8_t *y) {
    for (int32_t i = 0; i < p->rows; i++) {
        for (int32_t j = 0; j < p->groups; j++) {
            int32_t at = i * p->cells * p->groups * p->width + j * p->width;
            statistics s = statistics_of(p, x + at);
            normalize(p, &s, p->gamma + j * p->width, p->beta + j * p->width, x + at, y + at);
        }
    }
}
