/* The filters of frames: int8 sums, requantised to int16. What includes this has included
 * edgeq_gate_rows. */
#ifndef EDGEQ_SVDF_FEATURE_H
#define EDGEQ_SVDF_FEATURE_H

#include "edgeq_gates.h"
#include "edgeq_kernels.h"

static inline void edgeq_svdf_features(const edgeq_svdf_feature_params *p, const int8_t *x,
                                       int16_t *y) {
    for (int32_t t = 0; t < p->frames; t++) {
        for (int32_t i = 0; i < p->filters; i += EDGEQ_GATE_ROWS) {
            const int32_t count = edgeq_gate_count(p->filters - i);
            int32_t sums[EDGEQ_GATE_ROWS] = {0};
            edgeq_gate_rows(x, p->input_zero_point, p->feature_weight + i * p->features,
                            p->features, count, sums);
            for (int32_t j = 0; j < count; j++) {
                *y++ = (int16_t)edgeq_gate_half(edgeq_multiply(sums[j], p->multiplier, p->shift));
            }
        }
        x += p->features;
    }
}

#endif
