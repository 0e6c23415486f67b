/* AveragePool2D without padding: sum, then requantise; the number of cells is in the multiplier. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

static int32_t window_sum(const edgeq_window *w, const int8_t *x) {
    int32_t sum = 0;
    for (int32_t i = 0; i < w->kernel_height; i++) {
        for (int32_t j = 0; j < w->kernel_width; j++) {
            sum += x[(i * w->input_width + j) * w->channels];
        }
    }
    return sum;
}

EDGEQ_KERNEL void edgeq_average_pool_2d_s8(const edgeq_average_pool_2d_params *p, const int8_t *x,
                                           int8_t *y) {
    const edgeq_window *w = &p->window;
    int32_t zero = w->kernel_height * w->kernel_width * p->input_zero_point;
    for (int32_t i = 0; i < w->output_height; i++) {
        for (int32_t j = 0; j < w->output_width; j++) {
            int32_t cell = i * w->stride_height * w->input_width + j * w->stride_width;
            for (int32_t c = 0; c < w->channels; c++) {
                int32_t acc = window_sum(w, x + cell * w->channels + c) - zero;
                *y++ =
                    edgeq_requantize(acc, p->multiplier, p->shift, p->output_zero_point, -128, 127);
            }
        }
    }
}
