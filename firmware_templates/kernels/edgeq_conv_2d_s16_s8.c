/* Convolutions in groups, int16 activations, 8-bit weights; a fully connected layer is one cell. */
#include <stdbool.h>

#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

/* Sum over the taps inside the map of one group's channels, which begin at x. */
static int64_t edgeq_wide_sum(const edgeq_wide_conv_2d_params *p, const int16_t *x, int32_t top,
                              int32_t left, const int8_t *weight) {
    const edgeq_window *w = &p->window;
    int64_t sum = 0;
    for (int32_t i = 0; i < w->kernel_height; i++) {
        int32_t row = top + i * p->dilation_height;
        for (int32_t j = 0; j < w->kernel_width; j++) {
            int32_t column = left + j * p->dilation_width;
            bool down = row >= 0 && row < w->input_height;
            bool across = column >= 0 && column < w->input_width;
            if (down && across) {
                const int16_t *cell = x + (row * w->input_width + column) * w->channels;
                for (int32_t c = 0; c < p->group_channels; c++) {
                    sum += (int32_t)cell[c] * weight[c];
                }
            }
            weight += p->group_channels;
        }
    }
    return sum;
}

static int16_t edgeq_wide_output(const edgeq_wide_conv_2d_params *p, int64_t sum, int32_t k) {
    int32_t made;
    if (p->narrow_sums) {
        made = edgeq_multiply((int32_t)sum, p->multiplier[k], p->shift[k]);
    } else {
        int32_t right = 15 - p->shift[k];
        made = (int32_t)((sum * p->multiplier[k] + ((int64_t)1 << (right - 1))) >> right);
    }
    return (int16_t)edgeq_clamp(made, p->activation_min, p->activation_max);
}

EDGEQ_KERNEL void edgeq_conv_2d_s16_s8(const edgeq_wide_conv_2d_params *p, const int16_t *x,
                                       int16_t *y) {
    const edgeq_window *w = &p->window;
    int32_t n = w->kernel_height * w->kernel_width * p->group_channels;
    for (int32_t i = 0; i < w->output_height; i++) {
        int32_t top = i * w->stride_height - w->padding_top;
        for (int32_t j = 0; j < w->output_width; j++) {
            int32_t left = j * w->stride_width - w->padding_left;
            const int8_t *weight = p->weight;
            int32_t k = 0;
            for (int32_t g = 0; g < p->groups; g++) {
                const int16_t *own = x + g * p->group_channels;
                for (int32_t o = 0; o < p->group_outputs; o++, k++, weight += n) {
                    *y++ = edgeq_wide_output(
                        p, p->bias[k] + edgeq_wide_sum(p, own, top, left, weight), k);
                }
            }
        }
    }
}
