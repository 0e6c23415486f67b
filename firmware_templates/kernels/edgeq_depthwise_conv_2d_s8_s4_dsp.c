/* DepthwiseConv2D, 4-bit weights.
 *
 * Stream: blocks of four channels; in a block a word for two taps, taps in the order (kernel
 * height, kernel width), the first in the low half; in a half a nibble a channel, the first in the
 * lowest, two's complement. Taps [1, -2, 3, 4] and [5, 6, -7, 0] of four channels: 0x096543E1.
 */
#include "edgeq_depthwise_conv_2d_dsp.h"

/* A nibble to the top of each half, then down with its sign. */
static const uint32_t *expand(const uint32_t *stream, uint32_t *to, int32_t pairs) {
    for (; pairs > 0; pairs--, stream++) {
        for (int32_t c = 0; c < 4; c++) {
            uint32_t nibbles = *stream >> 4 * c;
            int32_t low = (int32_t)(nibbles << 28) >> 28;
            int32_t high = (int32_t)(nibbles << 12) >> 28;
            *to++ = edgeq_low_halves((uint32_t)low, (uint32_t)high);
        }
    }
    return stream;
}

void edgeq_depthwise_conv_2d_s8_s4_dsp(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                       void *scratch) {
    edgeq_depthwise_conv_2d_dsp(p, x, y, scratch, expand);
}
