/* DepthwiseConv2D, int8 activations, 8-bit weights. */
#include "edgeq_depthwise_conv_2d.h"
#include "edgeq_dot.h"

static inline int32_t tap_weight(const uint8_t *row, int32_t channel) {
    return (int8_t)row[channel];
}

EDGEQ_KERNEL void edgeq_depthwise_conv_2d_s8_s8(const edgeq_conv_2d_params *p, const int8_t *x,
                                                int8_t *y) {
    edgeq_depthwise_conv_2d(p, x, y, edgeq_row_bytes_s8(p->window.channels), tap_weight);
}
