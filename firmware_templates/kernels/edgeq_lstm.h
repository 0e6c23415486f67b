/* The steps of an LSTM: int8 in and out, int16 cell, gates in Q3.12, their answers in Q0.15. What
 * includes this has included edgeq_gate_rows. */
#ifndef EDGEQ_LSTM_H
#define EDGEQ_LSTM_H

#include "edgeq_gates.h"
#include "edgeq_kernels.h"

enum { EDGEQ_LSTM_INPUT, EDGEQ_LSTM_FORGET, EDGEQ_LSTM_CELL, EDGEQ_LSTM_OUTPUT };

/* The sums of a gate in Q3.12, of `count` units from `unit` on. */
static inline void edgeq_lstm_gate(const edgeq_lstm_params *p, const int8_t *x,
                                   const int8_t *hidden, int32_t gate, int32_t unit, int32_t count,
                                   int32_t *sums) {
    const int32_t row = gate * p->units + unit;
    int32_t kept[EDGEQ_GATE_ROWS];
    for (int32_t i = 0; i < count; i++) {
        sums[i] = p->bias[row + i];
        kept[i] = 0;
    }
    edgeq_gate_rows(x, p->input_zero_point, p->input_weight + row * p->features, p->features, count,
                    sums);
    edgeq_gate_rows(hidden, p->output_zero_point, p->recurrent_weight + row * p->units, p->units,
                    count, kept);
    edgeq_gate_scale(p->input_multiplier[gate], p->input_shift[gate], count, sums);
    edgeq_gate_scale(p->recurrent_multiplier[gate], p->recurrent_shift[gate], count, kept);
    for (int32_t i = 0; i < count; i++) {
        sums[i] = edgeq_gate_half(sums[i] + kept[i]);
    }
}

static inline int32_t edgeq_lstm_product(const edgeq_lstm_params *p, int32_t a, int32_t b,
                                         int32_t which) {
    return edgeq_multiply(a * b, p->product_multiplier[which], p->product_shift[which]);
}

/* One unit at one time, from the sums of its gates: its cell, and what it answers. */
static inline int8_t edgeq_lstm_unit(const edgeq_lstm_params *p, int32_t in, int32_t forget,
                                     int32_t fresh, int32_t out, int16_t *cell) {
    const uint16_t *table = p->table;
    const int32_t kept = edgeq_lstm_product(p, edgeq_gate_sigmoid(table, forget), *cell, 0);
    const int32_t added =
        edgeq_lstm_product(p, edgeq_gate_sigmoid(table, in), edgeq_gate_tanh(table, fresh, -12), 1);
    int32_t now = edgeq_gate_half(edgeq_gate_half(kept) + edgeq_gate_half(added));
    now = edgeq_clamp(now, -p->cell_clip, p->cell_clip);
    *cell = (int16_t)now;
    const int32_t shown = edgeq_lstm_product(p, edgeq_gate_tanh(table, now, p->cell_power),
                                             edgeq_gate_sigmoid(table, out), 2);
    return (int8_t)edgeq_clamp(shown + p->output_zero_point, -128, 127);
}

/* Some units at one time. */
static inline void edgeq_lstm_units(const edgeq_lstm_params *p, const int8_t *x,
                                    const int8_t *hidden, int16_t *cell, int8_t *y, int32_t unit) {
    const int32_t count = edgeq_gate_count(p->units - unit);
    int32_t sums[4][EDGEQ_GATE_ROWS];
    for (int32_t gate = 0; gate < 4; gate++) {
        edgeq_lstm_gate(p, x, hidden, gate, unit, count, sums[gate]);
    }
    for (int32_t i = 0; i < count; i++) {
        y[unit + i] =
            edgeq_lstm_unit(p, sums[EDGEQ_LSTM_INPUT][i], sums[EDGEQ_LSTM_FORGET][i],
                            sums[EDGEQ_LSTM_CELL][i], sums[EDGEQ_LSTM_OUTPUT][i], &cell[unit + i]);
    }
}

/* All steps, from a cell, which becomes the last one, and a hidden state that lies apart from y. */
static inline void edgeq_lstm_run(const edgeq_lstm_params *p, const int8_t *x, int8_t *y,
                                  int16_t *cell, const int8_t *hidden) {
    for (int32_t t = 0; t < p->steps; t++) {
        for (int32_t i = 0; i < p->units; i += EDGEQ_GATE_ROWS) {
            edgeq_lstm_units(p, x, hidden, cell, y, i);
        }
        hidden = y;
        x += p->features;
        y += p->units;
    }
}

/* From a state of zero, in scratch, the hidden state behind it. */
static inline void edgeq_lstm_from_zero(const edgeq_lstm_params *p, const int8_t *x, int8_t *y,
                                        void *scratch) {
    int16_t *cell = scratch;
    int8_t *first = (int8_t *)(cell + p->units);
    for (int32_t i = 0; i < p->units; i++) {
        cell[i] = 0;
        first[i] = (int8_t)p->output_zero_point;
    }
    edgeq_lstm_run(p, x, y, cell, first);
}

#endif
