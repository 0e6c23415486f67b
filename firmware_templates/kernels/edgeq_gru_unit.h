/* A unit of a GRU. */
#ifndef EDGEQ_GRU_UNIT_H
#define EDGEQ_GRU_UNIT_H

#include "edgeq_gru.h"

enum { EDGEQ_GRU_RESET, EDGEQ_GRU_UPDATE, EDGEQ_GRU_NEW };

/* One unit at one time: its state, and what it answers. */
static inline int8_t edgeq_gru_unit(const edgeq_gru_params *p, const int8_t *x,
                                    const int8_t *hidden, int16_t *state, int32_t unit) {
    const int32_t reset = edgeq_gru_gate(p, x, hidden, EDGEQ_GRU_RESET, unit);
    const int32_t update = edgeq_gru_gate(p, x, hidden, EDGEQ_GRU_UPDATE, unit);
    const int32_t before =
        edgeq_gru_half_up(reset * edgeq_gru_kept(p, hidden, EDGEQ_GRU_NEW, unit));
    const int32_t sum = edgeq_gru_given(p, x, EDGEQ_GRU_NEW, unit) + before;
    const int32_t fresh = edgeq_gate_tanh(p->table, edgeq_gate_half(sum), -12);
    const int32_t now = edgeq_gru_half_up(update * *state + ((1 << 15) - update) * fresh);
    *state = (int16_t)now;
    return edgeq_gru_answer(p, now);
}

#endif
