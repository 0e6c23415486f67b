/* Depthwise convolutions on DSP cores: four channels at a time, two taps a multiply.
 *
 * A block is four neighbouring channels, a word of every cell of the map. A cell outside the map
 * holds the input zero point. |x * w| <= 128 * 127: no accumulator leaves int32 before 131,072
 * taps.
 */
#ifndef EDGEQ_DEPTHWISE_CONV_2D_DSP_H
#define EDGEQ_DEPTHWISE_CONV_2D_DSP_H

#include <stdbool.h>

#include "edgeq_depthwise_any_dsp.h"
#include "edgeq_depthwise_blocks_dsp.h"
#include "edgeq_depthwise_strips_dsp.h"
#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

/* `taps`: words that the block's taps take at the beginning of scratch. */
static inline void edgeq_depthwise_conv_2d_dsp(const edgeq_conv_2d_params *p, const int8_t *x,
                                               int8_t *y, uint32_t *scratch, int32_t taps) {
    const edgeq_window *w = &p->window;
    int32_t other = (w->kernel_height ^ 3) | (w->kernel_width ^ 3); /* 0: strips */
    other |= ((w->stride_height - 1) | (w->stride_width - 1)) >> 1;
    other |= w->channels < 4;
    EDGEQ_STEPS(other);
    int32_t rows = w->output_height;
    int32_t columns = w->output_width;
    edgeq_block b;
    edgeq_strip s;
    b.p = p;
    b.channels = w->channels < 4 ? w->channels : 4;
    if (other == 0) {
        rows = edgeq_part(rows, 2 * EDGEQ_STRIP_TURNS >> (w->stride_height - 1));
        rows += rows & w->stride_height & 1;
        columns = edgeq_part(columns, (EDGEQ_STRIP_CELLS - 2) >> (w->stride_width - 1));
    }
    s.bands = scratch + taps;
    s.row = 0;
    do { /* there is an output and a channel, which a compiler cannot know */
        s.column = 0;
        do {
            edgeq_strip_of(p, &s, rows, columns);
            bool filled = false;
            int32_t i = 0;
            do {
                bool exact = edgeq_take_block(&b, i, scratch);
                b.x = x + b.first;
                b.y = y + b.first;
                if (exact && other == 0) {
                    if (!filled) {
                        edgeq_fill(s.bands, s.words,
                                   ((uint32_t)p->input_zero_point & 0xFFFFu) * 0x00010001u);
                    }
                    filled = true;
                    edgeq_depthwise_strip(&b, &s);
                } else if (s.row + s.column == 0) { /* all of the block's strips at once */
                    edgeq_depthwise_any(&b, s.bands);
                    filled = false;
                }
                i++;
            } while (4 * i < w->channels);
            s.column += columns;
        } while (s.column < w->output_width);
        s.row += rows;
    } while (s.row < w->output_height);
    if (p->activation_max - p->activation_min < 255) { /* only saturated so far */
        int8_t *end = y + w->output_height * w->output_width * w->channels;
        do {
            *y = (int8_t)edgeq_clamp(*y, p->activation_min, p->activation_max);
        } while (++y < end);
    }
}

#endif
