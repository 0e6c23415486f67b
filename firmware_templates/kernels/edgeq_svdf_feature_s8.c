/* The filters of frames: int8 sums, requantised to int16. */
#include "edgeq_gates.h"
#include "edgeq_kernels.h"

EDGEQ_KERNEL void edgeq_svdf_feature_s8(const edgeq_svdf_feature_params *p, const int8_t *x,
                                        int16_t *y) {
    for (int32_t t = 0; t < p->frames; t++) {
        const int8_t *weight = p->feature_weight;
        for (int32_t i = 0; i < p->filters; i++) {
            const int32_t sum = edgeq_gate_dot(x, p->input_zero_point, weight, p->features, 0);
            *y++ = (int16_t)edgeq_gate_half(edgeq_multiply(sum, p->multiplier, p->shift));
            weight += p->features;
        }
        x += p->features;
    }
}
