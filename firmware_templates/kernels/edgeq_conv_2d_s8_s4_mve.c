/* Conv2D, int8 activations, 4-bit weights, by vectors. */
#include "edgeq_conv_2d_mve.h"
#include "edgeq_kernels_mve.h"

EDGEQ_KERNEL void edgeq_conv_2d_s8_s4_mve(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                          int8_t *scratch) {
    const edgeq_window *w = &p->window;
    int32_t row_bytes = edgeq_row_bytes_s4(w->kernel_height * w->kernel_width * w->channels);
#if EDGEQ_MVE
    const edgeq_codes_mve codes = {edgeq_whole_s4_mve, edgeq_part_s4_mve, 8};
    edgeq_conv_2d_mve(p, x, y, scratch, row_bytes, codes);
#else
    edgeq_conv_2d(p, x, y, scratch, row_bytes, edgeq_dot_s4);
#endif
}
