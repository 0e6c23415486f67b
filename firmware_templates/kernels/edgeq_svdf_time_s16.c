/* Units of frames: taps over the filters of those before. Sums are modulo 2^32. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

/* Of `memory` frames of `rank` filters. */
static inline uint32_t edgeq_svdf_sum(const int16_t *x, const int16_t *taps, int32_t memory,
                                      int32_t filters, int32_t rank) {
    uint32_t sum = 0;
    for (int32_t j = 0; j < memory; j++) {
        for (int32_t i = 0; i < rank; i++) {
            sum += (uint32_t)(x[i] * taps[i]);
        }
        x += filters;
        taps += filters;
    }
    return sum;
}

EDGEQ_KERNEL void edgeq_svdf_time_s16(const edgeq_svdf_time_params *p, const int16_t *x,
                                      int8_t *y) {
    int32_t lacks = p->before;
    for (int32_t t = 0; t < p->frames; t++) {
        const int16_t *cells = x, *taps = p->taps + lacks * p->filters;
        const int32_t *bias = p->bias;
        for (int32_t at = 0; at < p->filters; at += p->rank) {
            const uint32_t sum =
                edgeq_svdf_sum(cells + at, taps + at, p->memory - lacks, p->filters, p->rank);
            *y++ = edgeq_requantize((int32_t)((uint32_t)*bias++ + sum), p->multiplier, p->shift,
                                    p->output_zero_point, p->activation_min, p->activation_max);
        }
        x += lacks > 0 ? 0 : p->filters;
        lacks -= lacks > 0 ? 1 : 0;
    }
}
