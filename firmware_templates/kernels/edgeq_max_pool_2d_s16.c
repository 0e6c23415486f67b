/* MaxPool2D: the largest value among the cells of a window that lie inside the map, int16. */
#include "edgeq_kernels.h"
#include "edgeq_reach.h"

static int16_t window_max(const edgeq_window *w, const int16_t *x, edgeq_reach down,
                          edgeq_reach across, int32_t channel) {
    int16_t largest = -32768;
    for (int32_t i = down.first; i < down.last; i++) {
        for (int32_t j = across.first; j < across.last; j++) {
            int32_t cell = (down.start + i) * w->input_width + across.start + j;
            int16_t value = x[cell * w->channels + channel];
            largest = value > largest ? value : largest;
        }
    }
    return largest;
}

EDGEQ_KERNEL void edgeq_max_pool_2d_s16(const edgeq_window *p, const int16_t *x, int16_t *y) {
    for (int32_t i = 0; i < p->output_height; i++) {
        edgeq_reach down = edgeq_reach_of(i * p->stride_height - p->padding_top, p->kernel_height,
                                          p->input_height);
        for (int32_t j = 0; j < p->output_width; j++) {
            edgeq_reach across = edgeq_reach_of(j * p->stride_width - p->padding_left,
                                                p->kernel_width, p->input_width);
            for (int32_t c = 0; c < p->channels; c++) {
                *y++ = window_max(p, x, down, across, c);
            }
        }
    }
}
