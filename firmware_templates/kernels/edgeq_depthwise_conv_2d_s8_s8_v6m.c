/* DepthwiseConv2D for ARMv6-M, s8 weights in the rows of edgeq_kernels.h: see
 * edgeq_depthwise_v6m.h. Example, weights [1, -2, 3, -4] of channels 0 to 3 in one tap: 0xFC03FE01.
 */
#include "edgeq_depthwise_v6m.h"
#include "edgeq_dot.h"

static inline int32_t tap_weight(const uint8_t *row, int32_t channel) {
    return (int8_t)row[channel];
}

EDGEQ_KERNEL void edgeq_depthwise_conv_2d_s8_s8_v6m(const edgeq_conv_2d_params *p, const int8_t *x,
                                                    int8_t *y, void *scratch) {
    edgeq_depthwise_v6m(p, x, y, scratch, edgeq_row_bytes_s8(p->window.channels), tap_weight);
}
