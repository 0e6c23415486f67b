/* DepthwiseConv2D, 8-bit weights.
 *
 * Stream: blocks of four channels; in a block a word a tap, taps in the order (kernel height,
 * kernel width), their number rounded up to even; the first channel in the low byte. Taps
 * [1, -2, 3, 4] and [5, 6, -7, 8] of four channels are the words 0x0403FE01, 0x08F90605.
 */
#include "edgeq_depthwise_conv_2d_dsp.h"

static const uint32_t *edgeq_block_taps(const uint32_t *stream, int32_t block, int32_t pairs,
                                        uint32_t *to) {
    (void)to; /* as they are */
    return stream + 2 * pairs * block;
}

EDGEQ_KERNEL EDGEQ_SMALL void edgeq_depthwise_conv_2d_s8_s8_dsp(const edgeq_conv_2d_params *p,
                                                                const int8_t *x, int8_t *y,
                                                                void *scratch) {
    edgeq_depthwise_conv_2d_dsp(p, x, y, scratch, 0);
}
