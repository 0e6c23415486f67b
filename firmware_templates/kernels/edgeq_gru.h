/* What a GRU and an MGU share: an int16 state in Q0.15, the sums of their gates in Q3.12. What
 * includes this has included edgeq_gate_rows. */
#ifndef EDGEQ_GRU_H
#define EDGEQ_GRU_H

#include "edgeq_gates.h"
#include "edgeq_kernels.h"

/* x / 2^15, ties upward. */
static inline int32_t edgeq_gru_half_up(int32_t x) {
    return (x + (1 << 14)) >> 15;
}

/* Of some units in Q3.12, gate by gate: the sums of the input and of the hidden state. */
typedef struct {
    int32_t given[3][EDGEQ_GATE_ROWS];
    int32_t kept[3][EDGEQ_GATE_ROWS];
} edgeq_gru_sums;

static inline void edgeq_gru_begin(const int32_t *bias, int32_t count, int32_t *sums) {
    for (int32_t i = 0; i < count; i++) {
        sums[i] = bias[i];
    }
}

/* A gate of `count` units from `unit` on. */
static inline void edgeq_gru_gate_sums(const edgeq_gru_params *p, const int8_t *x,
                                       const int8_t *hidden, int32_t gate, int32_t unit,
                                       int32_t count, edgeq_gru_sums *sums) {
    const int32_t row = gate * p->units + unit;
    int32_t *given = sums->given[gate], *kept = sums->kept[gate];
    edgeq_gru_begin(p->bias + row, count, given);
    edgeq_gate_rows(x, p->input_zero_point, p->input_weight + row * p->features, p->features, count,
                    given);
    edgeq_gate_scale(p->input_multiplier[gate], p->input_shift[gate], count, given);
    edgeq_gru_begin(p->recurrent_bias + row, count, kept);
    edgeq_gate_rows(hidden, p->output_zero_point, p->recurrent_weight + row * p->units, p->units,
                    count, kept);
    edgeq_gate_scale(p->recurrent_multiplier[gate], p->recurrent_shift[gate], count, kept);
}

/* What a gate of a unit answers. */
static inline int32_t edgeq_gru_gate(const edgeq_gru_params *p, const edgeq_gru_sums *sums,
                                     int32_t gate, int32_t i) {
    const int32_t sum = sums->given[gate][i] + sums->kept[gate][i];
    return edgeq_gate_sigmoid(p->table, edgeq_gate_half(sum));
}

/* The candidate of a unit, its share of the hidden state weighed by another gate's answer. */
static inline int32_t edgeq_gru_fresh(const edgeq_gru_params *p, const edgeq_gru_sums *sums,
                                      int32_t gate, int32_t i, int32_t share) {
    const int32_t sum = sums->given[gate][i] + edgeq_gru_half_up(share * sums->kept[gate][i]);
    return edgeq_gate_tanh(p->table, edgeq_gate_half(sum), -12);
}

/* A state as it is answered. */
static inline int8_t edgeq_gru_answer(const edgeq_gru_params *p, int32_t state) {
    return edgeq_requantize(state, p->output_multiplier, p->output_shift, p->output_zero_point,
                            -128, 127);
}

/* The new state of unit number i of those that were summed. */
typedef int32_t edgeq_gru_step(const edgeq_gru_params *p, const edgeq_gru_sums *sums, int32_t i,
                               int32_t state);

/* Some units at one time. */
static inline void edgeq_gru_units(const edgeq_gru_params *p, const int8_t *x, const int8_t *hidden,
                                   int16_t *state, int8_t *y, int32_t unit, int32_t gates,
                                   edgeq_gru_step *step) {
    const int32_t count = edgeq_gate_count(p->units - unit);
    edgeq_gru_sums sums;
    for (int32_t gate = 0; gate < gates; gate++) {
        edgeq_gru_gate_sums(p, x, hidden, gate, unit, count, &sums);
    }
    for (int32_t i = 0; i < count; i++) {
        const int32_t now = step(p, &sums, i, state[unit + i]);
        state[unit + i] = (int16_t)now;
        y[unit + i] = edgeq_gru_answer(p, now);
    }
}

/* All steps, from a state, which becomes the last one; the hidden state that it is goes to `first`.
 */
static inline void edgeq_gru_run(const edgeq_gru_params *p, const int8_t *x, int8_t *y,
                                 int16_t *state, int8_t *first, int32_t gates,
                                 edgeq_gru_step *step) {
    for (int32_t i = 0; i < p->units; i++) {
        first[i] = edgeq_gru_answer(p, state[i]);
    }
    const int8_t *hidden = first;
    for (int32_t t = 0; t < p->steps; t++) {
        for (int32_t i = 0; i < p->units; i += EDGEQ_GATE_ROWS) {
            edgeq_gru_units(p, x, hidden, state, y, i, gates, step);
        }
        hidden = y;
        x += p->features;
        y += p->units;
    }
}

/* From a state of zero, in scratch, the hidden state behind it. */
static inline void edgeq_gru_from_zero(const edgeq_gru_params *p, const int8_t *x, int8_t *y,
                                       void *scratch, int32_t gates, edgeq_gru_step *step) {
    int16_t *state = scratch;
    for (int32_t i = 0; i < p->units; i++) {
        state[i] = 0;
    }
    edgeq_gru_run(p, x, y, state, (int8_t *)(state + p->units), gates, step);
}

#endif
