/* MeanPool2D on int16: the sum of the codes inside the map over their number, rounded half away
 * from zero. (|sum| + cells / 2) * ceil(2^31 / cells) >> 31 is the quotient or one more. */
#include "edgeq_kernels.h"
#include "edgeq_reach.h"
#include "edgeq_requantize.h"

static int32_t window_sum(const edgeq_window *w, const int16_t *x, edgeq_reach down,
                          edgeq_reach across) {
    int32_t sum = 0;
    for (int32_t i = down.first; i < down.last; i++) {
        const int16_t *cell = x + ((down.start + i) * w->input_width + across.start) * w->channels;
        for (int32_t j = across.first; j < across.last; j++) {
            sum += cell[j * w->channels];
        }
    }
    return sum;
}

static int32_t rounded_mean(int32_t sum, int32_t cells, uint32_t reciprocal) {
    int32_t sign = sum >> 31; /* -1 or 0 */
    uint32_t magnitude = (uint32_t)((sum ^ sign) - sign + (cells >> 1));
    uint32_t mean = (uint32_t)(((uint64_t)magnitude * reciprocal) >> 31);
    mean -= mean * (uint32_t)cells > magnitude;
    return ((int32_t)mean ^ sign) - sign;
}

EDGEQ_KERNEL void edgeq_mean_pool_2d_s16(const edgeq_mean_pool_2d_params *p, const int16_t *x,
                                         int16_t *y) {
    const edgeq_window *w = &p->window;
    for (int32_t i = 0; i < w->output_height; i++) {
        edgeq_reach down = edgeq_reach_of(i * w->stride_height - w->padding_top, w->kernel_height,
                                          w->input_height);
        int32_t rows = down.last - down.first;
        const uint32_t *reciprocal = p->reciprocal + (rows - p->least_rows) * p->columns;
        for (int32_t j = 0; j < w->output_width; j++) {
            edgeq_reach across = edgeq_reach_of(j * w->stride_width - w->padding_left,
                                                w->kernel_width, w->input_width);
            int32_t columns = across.last - across.first;
            int32_t cells = rows * columns;
            for (int32_t c = 0; c < w->channels; c++) {
                int32_t sum = window_sum(w, x + c, down, across);
                int32_t mean = rounded_mean(sum, cells, reciprocal[columns - p->least_columns]);
                *y++ = (int16_t)edgeq_clamp(mean, p->activation_min, p->activation_max);
            }
        }
    }
}
