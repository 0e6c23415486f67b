/* A convolution with groups or dilation as dense ones over cells that stand side by side.
 *
 * Outputs of a group read that group's channels. At dilation 3 and stride 2 an output and the third
 * behind it (apart: 3 / gcd(2, 3)) read cells of one phase, every third of the map, there 2 cells
 * (stride: 2 / gcd(2, 3)) behind one another.
 */
#include <stdbool.h>

#include "edgeq_kernels.h"
#include "edgeq_layout.h"
#include "edgeq_move.h"

/* One axis of a part. */
typedef struct {
    int32_t start; /* its first cell inside the map */
    int32_t padding;
    int32_t cells;
    int32_t outputs;
} edgeq_phase;

/* Of output `first`, whose window begins at `start`. */
static edgeq_phase edgeq_phase_of(const edgeq_sampling *s, int32_t first, int32_t start,
                                  int32_t size, int32_t outputs) {
    edgeq_phase phase = {start, 0, 0, 0};
    for (; phase.start < 0; phase.start += s->dilation) {
        EDGEQ_STEPS(phase.start); /* compilers would divide */
        phase.padding++;
    }
    for (int32_t at = phase.start; at < size; at += s->dilation) {
        EDGEQ_STEPS(at);
        phase.cells++;
    }
    for (int32_t at = first; at < outputs; at += s->apart) {
        EDGEQ_STEPS(at);
        phase.outputs++;
    }
    return phase;
}

EDGEQ_KERNEL void edgeq_conv_2d_part(const edgeq_conv_2d_params *whole,
                                     const edgeq_conv_2d_parts *parts, int32_t group, int32_t row,
                                     int32_t column, const int8_t *x, int8_t *cells,
                                     edgeq_conv_2d_params *part) {
    const edgeq_window *w = &whole->window;
    int32_t first = group * parts->outputs;
    edgeq_phase down = edgeq_phase_of(&parts->down, row, row * w->stride_height - w->padding_top,
                                      w->input_height, w->output_height);
    edgeq_phase across =
        edgeq_phase_of(&parts->across, column, column * w->stride_width - w->padding_left,
                       w->input_width, w->output_width);
    part->weight = (const uint8_t *)whole->weight + group * parts->weight_bytes;
    part->bias = whole->bias == NULL ? NULL : whole->bias + first; /* it may be in the stream */
    part->multiplier = whole->multiplier == NULL ? NULL : whole->multiplier + first;
    part->shift = whole->shift == NULL ? NULL : whole->shift + first;
    part->outputs = parts->outputs;
    part->input_zero_point = whole->input_zero_point;
    part->output_zero_point = whole->output_zero_point;
    part->activation_min = whole->activation_min;
    part->activation_max = whole->activation_max;
    bool inside = down.cells > 0 && across.cells > 0;
    part->window.input_height = inside ? down.cells : 1;
    part->window.input_width = inside ? across.cells : 1;
    part->window.channels = parts->channels;
    part->window.output_height = down.outputs;
    part->window.output_width = across.outputs;
    part->window.kernel_height = w->kernel_height;
    part->window.kernel_width = w->kernel_width;
    part->window.stride_height = parts->down.stride;
    part->window.stride_width = parts->across.stride;
    part->window.padding_top = down.padding;
    part->window.padding_left = across.padding;
    for (int32_t i = 0; !inside && i < parts->channels; i++) { /* no cell is: one of padding */
        cells[i] = (int8_t)whole->input_zero_point;
    }
    x += group * parts->channels;
    for (int32_t i = 0; inside && i < down.cells; i++) {
        const int8_t *line =
            x + (down.start + i * parts->down.dilation) * w->input_width * w->channels;
        for (int32_t j = 0; j < across.cells; j++, cells += parts->channels) {
            edgeq_move(cells, line + (across.start + j * parts->across.dilation) * w->channels,
                       parts->channels);
        }
    }
}

EDGEQ_KERNEL void edgeq_conv_2d_put_part(const edgeq_conv_2d_params *whole,
                                         const edgeq_conv_2d_parts *parts, int32_t group,
                                         int32_t row, int32_t column, const int8_t *made,
                                         int8_t *y) {
    const edgeq_window *w = &whole->window;
    y += group * parts->outputs;
    for (int32_t i = row; i < w->output_height; i += parts->down.apart) {
        for (int32_t j = column; j < w->output_width; j += parts->across.apart) {
            edgeq_move(y + (i * w->output_width + j) * whole->outputs, made, parts->outputs);
            made += parts->outputs;
        }
    }
}
