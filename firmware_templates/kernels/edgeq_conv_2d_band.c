/* Rows of a convolution's output as a convolution of their own. */
#include <stdbool.h>

#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

/* The window of the band; returns where its input begins. */
static int32_t edgeq_window_band(const edgeq_window *whole, int32_t row, int32_t rows,
                                 edgeq_window *band) {
    int32_t size = whole->output_height * whole->output_width;
    int32_t cells = whole->kernel_height * whole->kernel_width;
    bool pixels = cells * whole->stride_height * whole->stride_width == 1 &&
                  whole->output_height == whole->input_height &&
                  whole->output_width == whole->input_width;
    *band = *whole;
    if (pixels) {
        band->output_height = 1;
        band->output_width = edgeq_clamp(size - row, 0, rows);
        band->input_height = 1;
        band->input_width = band->output_width;
        return row;
    }
    int32_t first = row * whole->stride_height - whole->padding_top;
    int32_t begin = first < 0 ? 0 : first;
    band->output_height = edgeq_clamp(whole->output_height - row, 0, rows);
    int32_t last = (band->output_height - 1) * whole->stride_height + first;
    band->padding_top = begin - first;
    band->input_height =
        edgeq_clamp(last + whole->kernel_height, begin, whole->input_height) - begin;
    return begin;
}

EDGEQ_KERNEL int32_t edgeq_conv_2d_band(const edgeq_conv_2d_params *whole, int32_t row,
                                        int32_t rows, edgeq_conv_2d_params *band) {
    band->weight = whole->weight; /* by members: a copy of them all would be a call of memcpy */
    band->bias = whole->bias;
    band->multiplier = whole->multiplier;
    band->shift = whole->shift;
    band->outputs = whole->outputs;
    band->input_zero_point = whole->input_zero_point;
    band->output_zero_point = whole->output_zero_point;
    band->activation_min = whole->activation_min;
    band->activation_max = whole->activation_max;
    return edgeq_window_band(&whole->window, row, rows, &band->window);
}
