/* Depthwise convolutions on DSP cores: a block of four channels, and its cells as halves. */
#ifndef EDGEQ_DEPTHWISE_BLOCKS_DSP_H
#define EDGEQ_DEPTHWISE_BLOCKS_DSP_H

#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"

/* Taps of block number `block`, a word a tap: the block's channels in its bytes, the first lowest;
 * 2 * pairs words, in the stream itself or written to `to`. */
static const uint32_t *edgeq_block_taps(const uint32_t *stream, int32_t block, int32_t pairs,
                                        uint32_t *to);

/* Halves (a.low, b.low). */
static inline uint32_t edgeq_low_halves(uint32_t a, uint32_t b) {
#if EDGEQ_DSP_ASM
    uint32_t result;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return (a & 0xFFFFu) | b << 16;
#endif
}

/* Halves (a.high, b.high). */
static inline uint32_t edgeq_high_halves(uint32_t a, uint32_t b) {
#if EDGEQ_DSP_ASM
    uint32_t result;
    __asm__("pkhtb %0, %2, %1, asr #16" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return a >> 16 | (b & 0xFFFF0000u);
#endif
}

/* Two cells of four channels: channel c's bytes as the halves of to[c]. */
static inline void edgeq_pair_cells(uint32_t a, uint32_t b, uint32_t *to) {
    uint32_t low = edgeq_low_halves(a, b);
    uint32_t high = edgeq_high_halves(a, b);
    to[0] = edgeq_sxtb16(low);
    to[1] = edgeq_sxtb16_ror8(low);
    to[2] = edgeq_sxtb16(high);
    to[3] = edgeq_sxtb16_ror8(high);
}

/* What other windows have in the place of the first weights: bits that a sum is shifted left by
 * before it is multiplied, and 1 where nothing is shifted right after that. */
enum { EDGEQ_LEFT, EDGEQ_DOUBLED };

/* One channel. The assembly knows the order. */
typedef struct {
    int32_t bias; /* doubled */
    int32_t multiplier;
    int32_t divisor;     /* 2^(32 - s) + 1 for a right shift of s, 1..31 */
    uint32_t weights[6]; /* of each column of a 3x3 window (w0, w1), (w1, w2), doubled */
} edgeq_block_channel;
EDGEQ_AT(edgeq_block_channel, bias, 0);
EDGEQ_AT(edgeq_block_channel, multiplier, 4);
EDGEQ_AT(edgeq_block_channel, divisor, 8);
EDGEQ_AT(edgeq_block_channel, weights, 12);
EDGEQ_HOLDS(sizeof(edgeq_block_channel) == 36);

/* Small rather than fast: what runs once a layer or a strip. */
#if defined(__clang__)
#define EDGEQ_SMALL __attribute__((noinline, minsize))
#else
#define EDGEQ_SMALL __attribute__((noinline, cold))
#endif

typedef struct {
    const edgeq_conv_2d_params *p;
    const uint32_t *taps;
    const int8_t *x; /* of its first channel */
    int8_t *y;
    int32_t first;    /* its first channel */
    int32_t channels; /* 4, or all there are */
    int32_t left;     /* whether a channel's scale is a half or more */
    edgeq_block_channel of[4];
} edgeq_block;

/* A cell's channels, the first in the low byte. */
EDGEQ_SMALL static uint32_t edgeq_cell(const int8_t *at, int32_t channels) {
    uint32_t word = 0;
    for (at += channels; channels > 0; channels--) {
        word = word << 8 | (uint8_t)*--at;
    }
    return word;
}

/* Four words a turn. */
EDGEQ_SMALL static void edgeq_fill(uint32_t *to, int32_t words, uint32_t fill) {
    for (; words > 0; words -= 4, to += 4) {
        to[0] = fill;
        to[1] = fill;
        to[2] = fill;
        to[3] = fill;
    }
}

#endif
