/* Depthwise convolutions on DSP cores: four channels at a time, two taps a multiply.
 *
 * A block is four neighbouring channels, a word of every cell of the map. Its weights are expanded
 * once into scratch, as pairs of taps (t, t + 1) in two halves, a word a channel; a cell outside
 * the map holds the input zero point, a tap after the last one has weight zero.
 *
 * |x * w| <= 128 * 127: no accumulator leaves int32 before 131,072 taps.
 */
#ifndef EDGEQ_DEPTHWISE_CONV_2D_DSP_H
#define EDGEQ_DEPTHWISE_CONV_2D_DSP_H

#include <stdbool.h>

#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

/* Writes 4 * pairs words: for each pair of taps, one word a channel. Returns the next block. */
typedef const uint32_t *edgeq_expand_taps(const uint32_t *stream, uint32_t *to, int32_t pairs);

/* Halves (a.low, b.low). */
static inline uint32_t edgeq_low_halves(uint32_t a, uint32_t b) {
    return (a & 0xFFFFu) | b << 16;
}

/* Halves (a.high, b.high). */
static inline uint32_t edgeq_high_halves(uint32_t a, uint32_t b) {
    return a >> 16 | (b & 0xFFFF0000u);
}

/* Two cells of four channels: channel c's bytes as the halves of to[c]. */
static inline void edgeq_pair_cells(uint32_t a, uint32_t b, uint32_t *to) {
    uint32_t even[2] = {edgeq_sxtb16(a), edgeq_sxtb16(b)};
    uint32_t odd[2] = {edgeq_sxtb16_ror8(a), edgeq_sxtb16_ror8(b)};
    to[0] = edgeq_low_halves(even[0], even[1]);
    to[1] = edgeq_low_halves(odd[0], odd[1]);
    to[2] = edgeq_high_halves(even[0], even[1]);
    to[3] = edgeq_high_halves(odd[0], odd[1]);
}

/* The map as one block of channels sees it. */
typedef struct {
    const edgeq_window *window;
    const int8_t *x; /* of the block's first channel */
    uint32_t fill;   /* the input zero point in every byte */
    int32_t channels; /* of the block, 1 to 4 */
} edgeq_block_map;

/* A cell's channels, the first in the low byte. */
static inline uint32_t edgeq_cell(const edgeq_block_map *map, int32_t row, int32_t column) {
    const edgeq_window *w = map->window;
    if (row < 0 || row >= w->input_height || column < 0 || column >= w->input_width) {
        return map->fill;
    }
    const int8_t *at = map->x + (row * w->input_width + column) * w->channels;
    uint32_t word = 0;
    if (map->channels == 4) {
        __builtin_memcpy(&word, at, sizeof word);
        return word;
    }
    for (int32_t c = 0; c < map->channels; c++) {
        word |= (uint32_t)(uint8_t)at[c] << 8 * c;
    }
    return word;
}

/* What a block's outputs are requantised with. */
typedef struct {
    int32_t bias[4];
    int32_t multiplier[4];
    int32_t shift[4];
    int32_t zero_point;
    int32_t low;
    int32_t high;
} edgeq_block_scale;

static inline void edgeq_block_outputs(const edgeq_block_scale *scale, const int32_t *acc,
                                       int32_t channels, int8_t *y) {
    for (int32_t c = 0; c < channels; c++) {
        int32_t v = edgeq_requantize_dsp(acc[c], scale->multiplier[c], scale->shift[c]);
        y[c] = (int8_t)edgeq_clamp(v + scale->zero_point, scale->low, scale->high);
    }
}

/* Any kernel and stride: a pixel after the other. */
static inline void edgeq_depthwise_pixels(const edgeq_block_map *map, const uint32_t *taps,
                                          const edgeq_block_scale *scale, int8_t *y) {
    const edgeq_window *w = map->window;
    int32_t width = w->kernel_width;
    for (int32_t i = 0; i < w->output_height; i++) {
        for (int32_t j = 0; j < w->output_width; j++, y += w->channels) {
            int32_t left = j * w->stride_width - w->padding_left;
            int32_t row = i * w->stride_height - w->padding_top;
            int32_t end = row + w->kernel_height;
            int32_t column = left;
            int32_t acc[4] = {scale->bias[0], scale->bias[1], scale->bias[2], scale->bias[3]};
            const uint32_t *weight = taps;
            while (row < end) {
                uint32_t cell[2] = {0, 0};
                uint32_t x[4];
                for (int32_t k = 0; k < 2 && row < end; k++) {
                    cell[k] = edgeq_cell(map, row, column);
                    column++;
                    if (column == left + width) {
                        column = left;
                        row++;
                    }
                }
                edgeq_pair_cells(cell[0], cell[1], x);
                acc[0] = edgeq_smlad(x[0], weight[0], acc[0]);
                acc[1] = edgeq_smlad(x[1], weight[1], acc[1]);
                acc[2] = edgeq_smlad(x[2], weight[2], acc[2]);
                acc[3] = edgeq_smlad(x[3], weight[3], acc[3]);
                weight += 4;
            }
            edgeq_block_outputs(scale, acc, map->channels, y);
        }
    }
}

/* Inlined into its one caller, so that `expand` is a known function. */
static inline void edgeq_depthwise_conv_2d_dsp(const edgeq_conv_2d_params *p, const int8_t *x,
                                               int8_t *y, void *scratch,
                                               edgeq_expand_taps *expand) {
    const edgeq_window *w = &p->window;
    int32_t pairs = (w->kernel_height * w->kernel_width + 1) >> 1;
    const uint32_t *stream = p->weight;
    uint32_t *taps = scratch;
    edgeq_block_scale scale;
    scale.zero_point = p->output_zero_point;
    scale.low = p->activation_min;
    scale.high = p->activation_max;
    for (int32_t c = 0; c < w->channels; c += 4) {
        edgeq_block_map map = {w, x + c, (uint32_t)(uint8_t)p->input_zero_point * 0x01010101u,
                               edgeq_clamp(w->channels - c, 1, 4)};
        for (int32_t k = 0; k < 4; k++) {
            bool real = k < map.channels;
            scale.bias[k] = real ? p->bias[c + k] : 0;
            scale.multiplier[k] = real ? p->multiplier[c + k] : 0;
            scale.shift[k] = real ? p->shift[c + k] : -1;
        }
        stream = expand(stream, taps, pairs);
        edgeq_depthwise_pixels(&map, taps, &scale, y + c);
    }
}

#endif
