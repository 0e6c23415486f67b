/* A depthwise convolution, channel by channel; each weight format passes how it reads a weight. */
#ifndef EDGEQ_DEPTHWISE_CONV_2D_H
#define EDGEQ_DEPTHWISE_CONV_2D_H

#include "edgeq_kernels.h"
#include "edgeq_reach.h"
#include "edgeq_requantize.h"

/* Weight of `channel` in one tap's row. */
typedef int32_t edgeq_tap_weight(const uint8_t *row, int32_t channel);

/* Sum over the taps of one window that lie inside the map. */
static inline int32_t edgeq_depthwise_taps(const edgeq_conv_2d_params *p, const int8_t *x,
                                           edgeq_reach down, edgeq_reach across, int32_t channel,
                                           int32_t row_bytes, edgeq_tap_weight *weight_of) {
    const edgeq_window *w = &p->window;
    const uint8_t *rows = p->weight;
    int32_t acc = 0;
    for (int32_t i = down.first; i < down.last; i++) {
        int32_t cell = (down.start + i) * w->input_width + across.start + across.first;
        int32_t at = cell * w->channels + channel;
        int32_t row = (i * w->kernel_width + across.first) * row_bytes;
        for (int32_t j = across.first; j < across.last; j++) {
            acc += (x[at] - p->input_zero_point) * weight_of(rows + row, channel);
            at += w->channels;
            row += row_bytes;
        }
    }
    return acc;
}

/* Inlined into its one caller, and `weight_of` with it: no call a tap remains. */
static inline void edgeq_depthwise_conv_2d(const edgeq_conv_2d_params *p, const int8_t *x,
                                           int8_t *y, int32_t row_bytes,
                                           edgeq_tap_weight *weight_of) {
    const edgeq_window *w = &p->window;
    for (int32_t i = 0; i < w->output_height; i++) {
        edgeq_reach down = edgeq_reach_of(i * w->stride_height - w->padding_top, w->kernel_height,
                                          w->input_height);
        for (int32_t j = 0; j < w->output_width; j++) {
            edgeq_reach across = edgeq_reach_of(j * w->stride_width - w->padding_left,
                                                w->kernel_width, w->input_width);
            for (int32_t c = 0; c < w->channels; c++) {
                int32_t acc = edgeq_depthwise_taps(p, x, down, across, c, row_bytes, weight_of);
                *y++ = edgeq_requantize(p->bias[c] + acc, p->multiplier[c], p->shift[c],
                                        p->output_zero_point, p->activation_min, p->activation_max);
            }
        }
    }
}

#endif
