/* A convolution by vectors: each patch is gathered by vectors, then all its outputs are rows. */
#ifndef EDGEQ_CONV_2D_MVE_H
#define EDGEQ_CONV_2D_MVE_H

#include "edgeq_conv_2d.h"
#include "edgeq_rows_mve.h"

#if EDGEQ_MVE
/* edgeq_gather, sixteen channels at a time. */
static inline void edgeq_gather_mve(const edgeq_window *w, const int8_t *x, int32_t top,
                                    int32_t left, int8_t zero, int8_t *patch) {
    for (int32_t i = top; i < top + w->kernel_height; i++) {
        for (int32_t j = left; j < left + w->kernel_width; j++) {
            bool inside = i >= 0 && i < w->input_height && j >= 0 && j < w->input_width;
            const int8_t *cell = inside ? x + (i * w->input_width + j) * w->channels : x;
            uint32_t read = inside ? 0xFFFFu : 0u;
            for (int32_t c = 0; c < w->channels; c += 16) {
                mve_pred16_t some = vctp8q((uint32_t)(w->channels - c));
                int8x16_t given = vldrbq_z_s8(cell + c, (mve_pred16_t)(some & read));
                int8x16_t copied = vpselq_s8(given, vdupq_n_s8(zero), (mve_pred16_t)read);
                vstrbq_p_s8(patch + c, copied, some);
            }
            patch += w->channels;
        }
    }
}

static inline void edgeq_conv_2d_mve(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                     int8_t *scratch, int32_t row_bytes, edgeq_codes_mve codes) {
    const edgeq_window *w = &p->window;
    const edgeq_rows_mve rows = {p->weight,
                                 p->bias,
                                 p->multiplier,
                                 p->shift,
                                 w->kernel_height * w->kernel_width * w->channels,
                                 p->outputs,
                                 row_bytes,
                                 p->input_zero_point,
                                 p->output_zero_point,
                                 p->activation_min,
                                 p->activation_max};
    bool in_place = edgeq_patch_in_place(w);
    for (int32_t i = 0; i < w->output_height; i++) {
        for (int32_t j = 0; j < w->output_width; j++, y += p->outputs) {
            int32_t top = i * w->stride_height - w->padding_top;
            int32_t left = j * w->stride_width - w->padding_left;
            const int8_t *patch = scratch;
            if (in_place) {
                patch = x + (top * w->input_width + left) * w->channels;
            } else {
                edgeq_gather_mve(w, x, top, left, (int8_t)p->input_zero_point, scratch);
            }
            edgeq_outputs_mve(&rows, patch, y, codes);
        }
    }
}
#endif

#endif
