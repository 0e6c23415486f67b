/* PReLU: masks choose the factor of what lies below zero, and the side of its shift; edgeq_multiply
 * would branch on a shift that depends on the input. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

EDGEQ_KERNEL void edgeq_prelu_s8(const edgeq_prelu_params *p, const int8_t *x, int8_t *y) {
    for (int32_t i = 0; i < p->rows; i++) {
        for (int32_t k = 0; k < p->features; k++) {
            int32_t value = *x++ - p->input_zero_point;
            int32_t below = value >> 31;
            int32_t multiplier = p->positive[0] ^ ((p->positive[0] ^ p->multiplier[k]) & below);
            int32_t shift = p->positive[1] ^ ((p->positive[1] ^ p->shift[k]) & below);
            int32_t right = shift >> 31;
            int32_t raised = (int32_t)((uint32_t)value << (shift & ~right));
            int32_t scaled = edgeq_rdp(edgeq_srdhm(raised, multiplier), -shift & right);
            *y++ = (int8_t)edgeq_clamp(scaled + p->output_zero_point, -128, 127);
        }
    }
}
