/* Gated sum of experts: acc = sum over chosen e of gate_e * (y_e - zero_point), requantised. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

EDGEQ_KERNEL void edgeq_gate_start_s8(const edgeq_gate_params *p, int32_t *accumulator) {
    for (int32_t i = 0; i < p->size; i++) {
        accumulator[i] = 0;
    }
}

EDGEQ_KERNEL void edgeq_gate_accumulate_s8(const edgeq_gate_params *p, int32_t gate_q15,
                                           const int8_t *expert, int32_t *accumulator) {
    for (int32_t i = 0; i < p->size; i++) {
        accumulator[i] += gate_q15 * (expert[i] - p->expert_zero_point);
    }
}

EDGEQ_KERNEL void edgeq_gate_s8(const edgeq_gate_params *p, const int32_t *accumulator, int8_t *y) {
    for (int32_t i = 0; i < p->size; i++) {
        y[i] = edgeq_requantize(accumulator[i], p->multiplier, p->shift, p->output_zero_point, -128,
                                127);
    }
}
