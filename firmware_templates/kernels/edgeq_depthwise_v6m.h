/* Depthwise convolutions on ARMv6-M: four channels at a time, lines of the map as bytes x + 128.
 *
 * The longer axis of the output is the inner one. Scratch holds, in this order: the sums of one
 * channel of a line of outputs, four channels' weights as words, where each three taps begin, and
 * the lines of the map that a line of outputs needs, four channels a cell, those outside the map
 * with the input's zero point. The inner axis of a kernel is filled to threes with weights of 0,
 * lines of outputs at stride 1 to threes with sums that nobody reads. `bias` takes - (128 + zero
 * point) * sum(w).
 */
#ifndef EDGEQ_DEPTHWISE_V6M_H
#define EDGEQ_DEPTHWISE_V6M_H

#include <stdbool.h>

#include "edgeq_kernels_v6m.h"
#include "edgeq_lines_v6m.h"
#include "edgeq_outputs_v6m.h"
#include "edgeq_taps_v6m.h"

/* Weight of `channel` in one tap's row. */
typedef int32_t edgeq_tap_weight(const uint8_t *row, int32_t channel);

/* What the layer is and where its parts of scratch are. */
typedef struct {
    const edgeq_conv_2d_params *p;
    edgeq_axis outer;
    edgeq_axis inner;
    int32_t *sums;
    int32_t *weights;
    int32_t *from;
    uint8_t *lines;
    int32_t threes; /* of a kernel's line */
    int32_t count;  /* sums of a line */
    int32_t cells;  /* of a line of the map */
} edgeq_depthwise;

static inline edgeq_depthwise edgeq_depthwise_of(const edgeq_conv_2d_params *p, int32_t *scratch,
                                                 int32_t row_bytes) {
    const edgeq_window *w = &p->window;
    int32_t channels = w->channels;
    edgeq_axis down = {w->input_height,
                       w->kernel_height,
                       w->stride_height,
                       w->padding_top,
                       w->output_height,
                       w->input_width * channels,
                       w->output_width * channels,
                       w->kernel_width * row_bytes};
    edgeq_axis across = {w->input_width,  w->kernel_width, w->stride_width, w->padding_left,
                         w->output_width, channels,        channels,        row_bytes};
    bool wide = across.outputs >= down.outputs;
    edgeq_depthwise d;
    d.p = p;
    d.outer = wide ? down : across;
    d.inner = wide ? across : down;
    d.threes = edgeq_threes(d.inner.kernel);
    d.count = d.inner.stride == 1 ? 3 * edgeq_threes(d.inner.outputs) : d.inner.outputs;
    d.cells = (d.count - 1) * d.inner.stride + 3 * d.threes;
    d.sums = scratch;
    d.weights = d.sums + d.count;
    d.from = d.weights + 12 * d.threes * d.outer.kernel;
    d.lines = (uint8_t *)(d.from + d.threes * d.outer.kernel);
    return d;
}

/* Weights of one channel, line after line of the kernel. */
static inline void edgeq_put_taps(const edgeq_depthwise *d, int32_t channel, int32_t *to,
                                  edgeq_tap_weight *weight_of) {
    const uint8_t *line = d->p->weight;
    for (int32_t i = 0; i < d->outer.kernel; i++, line += d->outer.weight_step) {
        const uint8_t *row = line;
        for (int32_t j = 0; j < 3 * d->threes; j++, row += d->inner.weight_step) {
            *to++ = j < d->inner.kernel ? weight_of(row, channel) : 0;
        }
    }
}

/* One line of outputs of `channels` channels, y the first's; `slot` holds the kernel's first. */
static inline void edgeq_put_line(const edgeq_depthwise *d, edgeq_outputs *o, int32_t slot,
                                  int32_t channels, int8_t *y) {
    int32_t at = 0;
    int32_t line_bytes = 4 * d->cells;
    for (int32_t i = 0; i < d->outer.kernel; i++) {
        int32_t begin = slot * line_bytes;
        for (int32_t j = 0; j < d->threes; j++, begin += 12) {
            d->from[at++] = begin;
        }
        slot = slot + 1 < d->outer.kernel ? slot + 1 : 0;
    }
    edgeq_taps taps = {d->sums,  d->sums + d->count, d->from, d->from + at, d->weights,
                       d->lines, 4 * d->inner.stride};
    for (int32_t c = 0; c < channels; c++) {
        edgeq_sum_taps(&taps);
        o->last = o->first + 4;
        edgeq_put_outputs(o, d->sums, y + c);
        taps.lines++;
        taps.weights += 3 * at;
    }
}

/* Channels `first` and up to three more. */
static inline void edgeq_four_depthwise(const edgeq_depthwise *d, edgeq_outputs *o, const int8_t *x,
                                        int8_t *y, int32_t first, edgeq_tap_weight *weight_of) {
    int32_t left = d->p->window.channels - first;
    int32_t channels = left < 4 ? left : 4;
    for (int32_t c = 0; c < channels; c++) {
        edgeq_put_taps(d, first + c, d->weights + 3 * d->threes * d->outer.kernel * c, weight_of);
    }
    edgeq_cells cells = {x + first, channels, d->cells, (int8_t)d->p->input_zero_point};
    int32_t slot = 0;
    int32_t filled = 0; /* lines of the map, padding included */
    int32_t begin = 0;  /* the first that the line of outputs needs */
    for (int32_t i = 0; i < d->outer.outputs; i++, begin += d->outer.stride) {
        filled = filled < begin ? begin : filled;
        for (; filled < begin + d->outer.kernel; filled++) {
            int32_t to = slot + filled - begin;
            to = to < d->outer.kernel ? to : to - d->outer.kernel;
            edgeq_put_cells(&cells, &d->outer, &d->inner, filled - d->outer.padding,
                            d->lines + 4 * d->cells * to);
        }
        o->first = 4 * first;
        edgeq_put_line(d, o, slot, channels, y + first + i * d->outer.y_step);
        slot += d->outer.stride;
        while (slot >= d->outer.kernel) {
            EDGEQ_STEPS(slot); /* clang would divide */
            slot -= d->outer.kernel;
        }
    }
}

/* Inlined into its one caller, and `weight_of` with it. */
static inline void edgeq_depthwise_v6m(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                       void *scratch, int32_t row_bytes,
                                       edgeq_tap_weight *weight_of) {
    edgeq_depthwise d = edgeq_depthwise_of(p, scratch, row_bytes);
    edgeq_outputs o = edgeq_outputs_of(p->bias, p->multiplier, p->shift, p->output_zero_point,
                                       p->activation_min, p->activation_max);
    o.y_step = d.inner.y_step;
    o.sums_bytes = 4 * d.inner.outputs;
    for (int32_t first = 0; first < p->window.channels; first += 4) {
        edgeq_four_depthwise(&d, &o, x, y, first, weight_of);
    }
}

#endif
