/* What a GRU and an MGU share: an int16 state in Q0.15, the sums of their gates in Q3.12. */
#ifndef EDGEQ_GRU_H
#define EDGEQ_GRU_H

#include "edgeq_gates.h"
#include "edgeq_kernels.h"

/* x / 2^15, ties upward. */
static inline int32_t edgeq_gru_half_up(int32_t x) {
    return (x + (1 << 14)) >> 15;
}

/* The input's sums of a gate, of one unit, in Q3.12. */
static inline int32_t edgeq_gru_given(const edgeq_gru_params *p, const int8_t *x, int32_t gate,
                                      int32_t unit) {
    const int32_t row = gate * p->units + unit;
    const int32_t acc = edgeq_gate_dot(x, p->input_zero_point, p->input_weight + row * p->features,
                                       p->features, p->bias[row]);
    return edgeq_gate_half(edgeq_multiply(acc, p->input_multiplier[gate], p->input_shift[gate]));
}

/* The hidden state's. */
static inline int32_t edgeq_gru_kept(const edgeq_gru_params *p, const int8_t *hidden, int32_t gate,
                                     int32_t unit) {
    const int32_t row = gate * p->units + unit;
    const int32_t acc =
        edgeq_gate_dot(hidden, p->output_zero_point, p->recurrent_weight + row * p->units, p->units,
                       p->recurrent_bias[row]);
    return edgeq_gate_half(
        edgeq_multiply(acc, p->recurrent_multiplier[gate], p->recurrent_shift[gate]));
}

static inline int32_t edgeq_gru_gate(const edgeq_gru_params *p, const int8_t *x,
                                     const int8_t *hidden, int32_t gate, int32_t unit) {
    const int32_t sum = edgeq_gru_given(p, x, gate, unit) + edgeq_gru_kept(p, hidden, gate, unit);
    return edgeq_gate_sigmoid(p->table, edgeq_gate_half(sum));
}

/* A state as it is answered. */
static inline int8_t edgeq_gru_answer(const edgeq_gru_params *p, int32_t state) {
    return edgeq_requantize(state, p->output_multiplier, p->output_shift, p->output_zero_point,
                            -128, 127);
}

/* One unit at one time: its state, and what it answers. */
typedef int8_t edgeq_gru_step(const edgeq_gru_params *p, const int8_t *x, const int8_t *hidden,
                              int16_t *state, int32_t unit);

/* All steps, from a state, which becomes the last one; the hidden state that it is goes to `first`.
 */
static inline void edgeq_gru_run(const edgeq_gru_params *p, const int8_t *x, int8_t *y,
                                 int16_t *state, int8_t *first, edgeq_gru_step *step) {
    for (int32_t i = 0; i < p->units; i++) {
        first[i] = edgeq_gru_answer(p, state[i]);
    }
    const int8_t *hidden = first;
    for (int32_t t = 0; t < p->steps; t++) {
        for (int32_t i = 0; i < p->units; i++) {
            y[i] = step(p, x, hidden, &state[i], i);
        }
        hidden = y;
        x += p->features;
        y += p->units;
    }
}

/* From a state of zero, in scratch, the hidden state behind it. */
static inline void edgeq_gru_from_zero(const edgeq_gru_params *p, const int8_t *x, int8_t *y,
                                       void *scratch, edgeq_gru_step *step) {
    int16_t *state = scratch;
    for (int32_t i = 0; i < p->units; i++) {
        state[i] = 0;
    }
    edgeq_gru_run(p, x, y, state, (int8_t *)(state + p->units), step);
}

#endif
