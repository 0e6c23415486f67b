/* A convolution as one row product for each output channel of each gathered input patch. */
#ifndef EDGEQ_CONV_2D_H
#define EDGEQ_CONV_2D_H

#include <stdbool.h>

#include "edgeq_dot.h"
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

/* A 1x1 kernel that stays inside the map reads its patch in place. */
static inline bool edgeq_patch_in_place(const edgeq_window *w) {
    bool one = w->kernel_height == 1 && w->kernel_width == 1;
    bool starts_inside = w->padding_top == 0 && w->padding_left == 0;
    return one && starts_inside && (w->output_height - 1) * w->stride_height < w->input_height &&
           (w->output_width - 1) * w->stride_width < w->input_width;
}

/* Copies the patch whose first cell is (top, left) of the map; cells outside it become `zero`. */
static inline void edgeq_gather(const edgeq_window *w, const int8_t *x, int32_t top, int32_t left,
                                int8_t zero, int8_t *patch) {
    for (int32_t i = top; i < top + w->kernel_height; i++) {
        for (int32_t j = left; j < left + w->kernel_width; j++) {
            bool inside = i >= 0 && i < w->input_height && j >= 0 && j < w->input_width;
            const int8_t *cell = inside ? x + (i * w->input_width + j) * w->channels : &zero;
            int32_t step = inside ? 1 : 0;
            for (int32_t c = 0; c < w->channels; c++, cell += step) {
                *patch++ = *cell;
            }
        }
    }
}

/* Inlined into its one caller, so that `product` is a known function: at most a call a row. */
static inline void edgeq_conv_2d(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                 int8_t *scratch, int32_t row_bytes, edgeq_row_product *product) {
    const edgeq_window *w = &p->window;
    int32_t n = w->kernel_height * w->kernel_width * w->channels;
    int32_t zero = p->input_zero_point;
    bool in_place = edgeq_patch_in_place(w);
    for (int32_t i = 0; i < w->output_height; i++) {
        for (int32_t j = 0; j < w->output_width; j++) {
            int32_t top = i * w->stride_height - w->padding_top;
            int32_t left = j * w->stride_width - w->padding_left;
            const int8_t *patch = scratch;
            if (in_place) {
                patch = x + (top * w->input_width + left) * w->channels;
            } else {
                edgeq_gather(w, x, top, left, (int8_t)zero, scratch);
            }
            int32_t total = edgeq_total(patch, n, zero);
            const uint8_t *row = p->weight;
            for (int32_t k = 0; k < p->outputs; k++, row += row_bytes) {
                int32_t acc = p->bias[k] + product(row, patch, n, zero, total);
                *y++ = edgeq_requantize(acc, p->multiplier[k], p->shift[k], p->output_zero_point,
                                        p->activation_min, p->activation_max);
            }
        }
    }
}

#endif
