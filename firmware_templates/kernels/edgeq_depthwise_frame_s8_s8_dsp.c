/* A depthwise convolution of one window, which is the whole map: a step of a stream. Four channels
 * at a time; a tap's words of cells and weights lie side by side as they are. */
#include "edgeq_dot.h"
#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

static inline int8_t edgeq_frame_output(const edgeq_conv_2d_params *p, int32_t acc, int32_t c) {
    return edgeq_requantize((int32_t)((uint32_t)p->bias[c] + (uint32_t)acc), p->multiplier[c],
                            p->shift[c], p->output_zero_point, p->activation_min,
                            p->activation_max);
}

/* Channels c to c + 3. */
static inline void edgeq_frame_block(const edgeq_conv_2d_params *p, const int8_t *x,
                                     const uint8_t *weight, int32_t row_bytes, int8_t *y,
                                     int32_t c) {
    const uint32_t less = ((uint32_t)-p->input_zero_point & 0xFFFFu) * 0x00010001u;
    int32_t acc[4] = {0, 0, 0, 0};
    x += c;
    weight += c;
    for (int32_t taps = p->window.kernel_height * p->window.kernel_width; taps > 0; taps--) {
        const uint32_t cell = edgeq_load_word(x);
        const uint32_t word = edgeq_load_word(weight);
        const uint32_t even = edgeq_sxtab16(less, cell);
        const uint32_t odd = edgeq_sxtab16_ror8(less, cell);
        const uint32_t w_even = edgeq_sxtb16(word);
        const uint32_t w_odd = edgeq_sxtb16_ror8(word);
        acc[0] += edgeq_low_half(even) * edgeq_low_half(w_even);
        acc[1] += edgeq_low_half(odd) * edgeq_low_half(w_odd);
        acc[2] += edgeq_high_half(even) * edgeq_high_half(w_even);
        acc[3] += edgeq_high_half(odd) * edgeq_high_half(w_odd);
        x += p->window.channels;
        weight += row_bytes;
    }
    for (int32_t i = 0; i < 4; i++) {
        y[c + i] = edgeq_frame_output(p, acc[i], c + i);
    }
}

EDGEQ_KERNEL void edgeq_depthwise_frame_s8_s8_dsp(const edgeq_conv_2d_params *p, const int8_t *x,
                                                  int8_t *y) {
    const int32_t channels = p->window.channels;
    const int32_t taps = p->window.kernel_height * p->window.kernel_width;
    const int32_t row_bytes = edgeq_row_bytes_s8(channels);
    const uint8_t *weight = p->weight;
    int32_t c = 0;
    for (; c + 4 <= channels; c += 4) {
        edgeq_frame_block(p, x, weight, row_bytes, y, c);
    }
    for (; c < channels; c++) {
        int32_t acc = 0;
        for (int32_t i = 0; i < taps; i++) {
            acc += (x[i * channels + c] - p->input_zero_point) * (int8_t)weight[i * row_bytes + c];
        }
        y[c] = edgeq_frame_output(p, acc, c);
    }
}
