/* Moves cells: what transposes, slices, pads, repeats. Strides say where each cell comes from. */
#include "edgeq_kernels.h"

/* The three innermost of the six axes. */
static inline void edgeq_copy_block(const edgeq_copy_params *p, const int8_t *x, int8_t *y) {
    for (int32_t i = 0; i < p->size[3]; i++) {
        for (int32_t j = 0; j < p->size[4]; j++) {
            const int8_t *from = x + i * p->input_stride[3] + j * p->input_stride[4];
            int8_t *to = y + i * p->output_stride[3] + j * p->output_stride[4];
            for (int32_t k = 0; k < p->size[5]; k++) {
                *to = *from;
                from += p->input_stride[5];
                to += p->output_stride[5];
            }
        }
    }
}

EDGEQ_KERNEL void edgeq_copy_s8(const edgeq_copy_params *p, const int8_t *x, int8_t *y) {
    for (int32_t i = 0; i < p->fill_size; i++) {
        y[i] = (int8_t)p->fill;
    }
    x += p->input_first;
    y += p->output_first;
    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            for (int32_t k = 0; k < p->size[2]; k++) {
                edgeq_copy_block(
                    p, x + i * p->input_stride[0] + j * p->input_stride[1] + k * p->input_stride[2],
                    y + i * p->output_stride[0] + j * p->output_stride[1] +
                        k * p->output_stride[2]);
            }
        }
    }
}
