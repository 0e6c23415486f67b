/* DepthwiseConv2D for ARMv6-M, s4 weights in the rows of edgeq_kernels.h: see
 * edgeq_depthwise_v6m.h. Example, weights [1, -2, 3, -4] of channels 0 to 3 in one tap: 0xC3E1. */
#include "edgeq_depthwise_v6m.h"
#include "edgeq_dot.h"

/* Two's complement nibbles. */
static inline int32_t tap_weight(const uint8_t *row, int32_t channel) {
    uint32_t code = (uint32_t)row[channel >> 1] >> (4 * (channel & 1)) & 15u;
    return (int32_t)(code ^ 8u) - 8;
}

EDGEQ_KERNEL void edgeq_depthwise_conv_2d_s8_s4_v6m(const edgeq_conv_2d_params *p, const int8_t *x,
                                                    int8_t *y, void *scratch) {
    edgeq_depthwise_v6m(p, x, y, scratch, edgeq_row_bytes_s4(p->window.channels), tap_weight);
}
