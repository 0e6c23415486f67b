/* DepthwiseConv2D, int8 activations, 8-bit weights, by vectors: eight channels at a time.
 *
 * (x - zero) w fits sixteen bits: 255 * 128 < 2^15. Sums of even and of odd channels stand in two
 * registers of words, which bias, multiplier and shift are gathered for. */
#include "edgeq_depthwise_conv_2d.h"
#include "edgeq_dot.h"
#include "edgeq_kernels_mve.h"
#include "edgeq_mve.h"

#if EDGEQ_MVE
typedef struct {
    int32x4_t even;
    int32x4_t odd;
} edgeq_eight;

static inline edgeq_eight edgeq_taps_mve(const edgeq_conv_2d_params *p, const int8_t *x,
                                         edgeq_reach down, edgeq_reach across, int32_t channel,
                                         int32_t row_bytes, mve_pred16_t some) {
    const edgeq_window *w = &p->window;
    const int8_t *rows = (const int8_t *)p->weight + channel;
    edgeq_eight acc = {vdupq_n_s32(0), vdupq_n_s32(0)};
    for (int32_t i = down.first; i < down.last; i++) {
        int32_t cell = (down.start + i) * w->input_width + across.start + across.first;
        const int8_t *at = x + cell * w->channels + channel;
        const int8_t *row = rows + (i * w->kernel_width + across.first) * row_bytes;
        for (int32_t j = across.first; j < across.last; j++) {
            int16x8_t given = vsubq_n_s16(vldrbq_z_s16(at, some), (int16_t)p->input_zero_point);
            int16x8_t product = vmulq_s16(given, vldrbq_z_s16(row, some));
            acc.even = vaddq_s32(acc.even, vmovlbq_s16(product));
            acc.odd = vaddq_s32(acc.odd, vmovltq_s16(product));
            at += w->channels;
            row += row_bytes;
        }
    }
    return acc;
}

/* Of every second channel from `channel` on, `left` of them. */
static inline int32x4_t edgeq_halves_mve(const edgeq_conv_2d_params *p, int32x4_t acc,
                                         int32_t channel, int32_t left) {
    mve_pred16_t some = vctp32q((uint32_t)left);
    uint32x4_t words = vidupq_n_u32(0, 8), bytes = vidupq_n_u32(0, 2);
    int32x4_t bias = vldrwq_gather_offset_z_s32(p->bias + channel, words, some);
    int32x4_t multiplier = vldrwq_gather_offset_z_s32(p->multiplier + channel, words, some);
    int32x4_t shift = vldrbq_gather_offset_z_s32(p->shift + channel, bytes, some);
    return edgeq_requantize_mve(vaddq_s32(acc, bias), multiplier, shift, p->output_zero_point,
                                p->activation_min, p->activation_max);
}

static inline void edgeq_depthwise_mve(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                       int32_t row_bytes) {
    const edgeq_window *w = &p->window;
    for (int32_t i = 0; i < w->output_height; i++) {
        edgeq_reach down = edgeq_reach_of(i * w->stride_height - w->padding_top, w->kernel_height,
                                          w->input_height);
        for (int32_t j = 0; j < w->output_width; j++, y += w->channels) {
            edgeq_reach across = edgeq_reach_of(j * w->stride_width - w->padding_left,
                                                w->kernel_width, w->input_width);
            for (int32_t c = 0; c < w->channels; c += 8) {
                int32_t left = w->channels - c;
                mve_pred16_t some = vctp16q((uint32_t)left);
                edgeq_eight acc = edgeq_taps_mve(p, x, down, across, c, row_bytes, some);
                int32x4_t even = edgeq_halves_mve(p, acc.even, c, (left + 1) >> 1);
                int32x4_t odd = edgeq_halves_mve(p, acc.odd, c + 1, left >> 1);
                int16x8_t out = vmovntq_s32(vmovnbq_s32(vdupq_n_s16(0), even), odd);
                vstrbq_p_s16(y + c, out, some);
            }
        }
    }
}
#else
static inline int32_t tap_weight(const uint8_t *row, int32_t channel) {
    return (int8_t)row[channel];
}
#endif

EDGEQ_KERNEL void edgeq_depthwise_conv_2d_s8_s8_mve(const edgeq_conv_2d_params *p, const int8_t *x,
                                                    int8_t *y) {
    int32_t row_bytes = edgeq_row_bytes_s8(p->window.channels);
#if EDGEQ_MVE
    edgeq_depthwise_mve(p, x, y, row_bytes);
#else
    edgeq_depthwise_conv_2d(p, x, y, row_bytes, tap_weight);
#endif
}
