/* AveragePool2D on DSP cores: four channels at a time, as halves, in windows without padding.
 *
 * SXTAB16 adds two of them. 256 cells of -128 are -32768: then halves go to their words.
 */
#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

enum { CELLS = 256 };

/* Halves of bytes 0 and 2, and of 1 and 3. */
typedef struct {
    uint32_t even;
    uint32_t odd;
} edgeq_halves;

static inline void edgeq_flush(const edgeq_halves *h, int32_t sum[4]) {
    sum[0] += edgeq_low_half(h->even);
    sum[1] += edgeq_low_half(h->odd);
    sum[2] += edgeq_high_half(h->even);
    sum[3] += edgeq_high_half(h->odd);
}

/* Adds the cells of `rows` rows, `row_step` bytes apart, of four channels. */
static void edgeq_window_sums(const int8_t *x, int32_t rows, int32_t columns, int32_t row_step,
                              int32_t step, int32_t sum[4]) {
    edgeq_halves h = {0, 0};
    int32_t room = CELLS;
    for (; rows > 0; rows--, x += row_step) {
        const int8_t *from = x;
        int32_t n;
        for (int32_t left = columns; left > 0; left -= n) {
            n = left < room ? left : room;
            room -= n;
            for (int32_t i = n; i > 0; i--, from += step) {
                uint32_t word = edgeq_load_word(from);
                h.even = edgeq_sxtab16(h.even, word);
                h.odd = edgeq_sxtab16_ror8(h.odd, word);
            }
            if (room == 0) {
                edgeq_flush(&h, sum);
                h.even = 0;
                h.odd = 0;
                room = CELLS;
            }
        }
    }
    edgeq_flush(&h, sum);
}

EDGEQ_KERNEL void edgeq_average_pool_2d_s8_dsp(const edgeq_average_pool_2d_params *p,
                                               const int8_t *x, int8_t *y) {
    const edgeq_window *w = &p->window;
    int32_t zero = w->kernel_height * w->kernel_width * p->input_zero_point;
    int32_t line = w->input_width * w->channels;
    int32_t rows = w->kernel_height;
    int32_t columns = w->kernel_width;
    if (columns == w->input_width) { /* rows follow one another */
        columns *= rows;
        rows = 1;
    }
    for (int32_t i = 0; i < w->output_height; i++) {
        for (int32_t j = 0; j < w->output_width; j++, y += w->channels) {
            const int8_t *cell =
                x + i * w->stride_height * line + j * w->stride_width * w->channels;
            for (int32_t c = 0; c < w->channels; c += 4) {
                int32_t first = c < w->channels - 4 ? c : w->channels - 4; /* some twice */
                int32_t sum[4] = {-zero, -zero, -zero, -zero};
                edgeq_window_sums(cell + first, rows, columns, line, w->channels, sum);
                for (int32_t k = 0; k < 4; k++) {
                    int32_t v = edgeq_requantize_dsp(sum[k], p->multiplier, p->shift);
                    y[first + k] = (int8_t)edgeq_clamp(v + p->output_zero_point, -128, 127);
                }
            }
        }
    }
}
