/* The filters of frames. */
#include "edgeq_gate_rows_plain.h"
#include "edgeq_svdf_feature.h"

EDGEQ_KERNEL void edgeq_svdf_feature_s8(const edgeq_svdf_feature_params *p, const int8_t *x,
                                        int16_t *y) {
    edgeq_svdf_features(p, x, y);
}
