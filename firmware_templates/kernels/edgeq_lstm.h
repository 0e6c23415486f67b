/* The steps of an LSTM: int8 in and out, int16 cell, gates in Q3.12, their answers in Q0.15. */
#ifndef EDGEQ_LSTM_H
#define EDGEQ_LSTM_H

#include "edgeq_gates.h"
#include "edgeq_kernels.h"

enum { EDGEQ_LSTM_INPUT, EDGEQ_LSTM_FORGET, EDGEQ_LSTM_CELL, EDGEQ_LSTM_OUTPUT };

/* The sums of a gate in Q3.12, of one unit. */
static inline int32_t edgeq_lstm_gate(const edgeq_lstm_params *p, const int8_t *x,
                                      const int8_t *hidden, int32_t gate, int32_t unit) {
    const int32_t row = gate * p->units + unit;
    const int32_t given = edgeq_gate_dot(
        x, p->input_zero_point, p->input_weight + row * p->features, p->features, p->bias[row]);
    const int32_t kept = edgeq_gate_dot(hidden, p->output_zero_point,
                                        p->recurrent_weight + row * p->units, p->units, 0);
    const int32_t own = edgeq_multiply(given, p->input_multiplier[gate], p->input_shift[gate]);
    const int32_t before =
        edgeq_multiply(kept, p->recurrent_multiplier[gate], p->recurrent_shift[gate]);
    return edgeq_gate_half(edgeq_gate_half(own) + edgeq_gate_half(before));
}

static inline int32_t edgeq_lstm_product(const edgeq_lstm_params *p, int32_t a, int32_t b,
                                         int32_t which) {
    return edgeq_multiply(a * b, p->product_multiplier[which], p->product_shift[which]);
}

/* One unit at one time: its cell, and what it answers. */
static inline int8_t edgeq_lstm_unit(const edgeq_lstm_params *p, const int8_t *x,
                                     const int8_t *hidden, int16_t *cell, int32_t unit) {
    const uint16_t *table = p->table;
    const int32_t in = edgeq_lstm_gate(p, x, hidden, EDGEQ_LSTM_INPUT, unit);
    const int32_t forget = edgeq_lstm_gate(p, x, hidden, EDGEQ_LSTM_FORGET, unit);
    const int32_t fresh = edgeq_lstm_gate(p, x, hidden, EDGEQ_LSTM_CELL, unit);
    const int32_t out = edgeq_lstm_gate(p, x, hidden, EDGEQ_LSTM_OUTPUT, unit);
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

/* All steps, from a cell, which becomes the last one, and a hidden state that lies apart from y. */
static inline void edgeq_lstm_run(const edgeq_lstm_params *p, const int8_t *x, int8_t *y,
                                  int16_t *cell, const int8_t *hidden) {
    for (int32_t t = 0; t < p->steps; t++) {
        for (int32_t i = 0; i < p->units; i++) {
            y[i] = edgeq_lstm_unit(p, x, hidden, &cell[i], i);
        }
        hidden = y;
        x += p->features;
        y += p->units;
    }
}

#endif
