/* Conv2D, int8 activations, 4-bit weights. */
#include "edgeq_conv_2d.h"

EDGEQ_KERNEL void edgeq_conv_2d_s8_s4(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                      int8_t *scratch) {
    const edgeq_window *w = &p->window;
    int32_t columns = w->kernel_height * w->kernel_width * w->channels;
    edgeq_conv_2d(p, x, y, scratch, edgeq_row_bytes_s4(columns), edgeq_dot_s4);
}
