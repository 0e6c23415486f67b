/* DepthwiseConv2D, 4-bit weights.
 *
 * Stream: blocks of four channels; in a block a word for two taps, taps in the order (kernel
 * height, kernel width), the first in the low half; in a half a nibble a channel, the first in the
 * lowest, two's complement. Taps [1, -2, 3, 4] and [5, 6, -7, 0] of four channels: 0x096543E1.
 */
#include "edgeq_depthwise_conv_2d_dsp.h"

/* Nibbles of a half to the bytes of a word, with their signs. */
static inline uint32_t spread(uint32_t half) {
    uint32_t x = (half | half << 8) & 0x00FF00FFu;
    x = (x | x << 4) & 0x0F0F0F0Fu;
    return x | (x & 0x08080808u) * 0x1Eu;
}

static const uint32_t *edgeq_block_taps(const uint32_t *stream, int32_t block, int32_t pairs,
                                        uint32_t *to) {
    const char *from = (const char *)(stream + pairs * block);
    int32_t i = 0;
    do {
        uint16_t half;
        __builtin_memcpy(&half, from + 2 * i, sizeof half);
        to[i] = spread(half);
    } while (++i < 2 * pairs);
    return to;
}

EDGEQ_KERNEL EDGEQ_SMALL void edgeq_depthwise_conv_2d_s8_s4_dsp(const edgeq_conv_2d_params *p,
                                                                const int8_t *x, int8_t *y,
                                                                void *scratch) {
    int32_t taps = p->window.kernel_height * p->window.kernel_width;
    edgeq_depthwise_conv_2d_dsp(p, x, y, scratch, (taps + 1) & ~1);
}
