/* A unit of an MGU. */
#ifndef EDGEQ_MGU_UNIT_H
#define EDGEQ_MGU_UNIT_H

#include "edgeq_gru.h"

enum { EDGEQ_MGU_FORGET, EDGEQ_MGU_NEW };

/* One unit at one time: its state, and what it answers. */
static inline int8_t edgeq_mgu_unit(const edgeq_gru_params *p, const int8_t *x,
                                    const int8_t *hidden, int16_t *state, int32_t unit) {
    const int32_t forget = edgeq_gru_gate(p, x, hidden, EDGEQ_MGU_FORGET, unit);
    const int32_t before =
        edgeq_gru_half_up(forget * edgeq_gru_kept(p, hidden, EDGEQ_MGU_NEW, unit));
    const int32_t sum = edgeq_gru_given(p, x, EDGEQ_MGU_NEW, unit) + before;
    const int32_t fresh = edgeq_gate_tanh(p->table, edgeq_gate_half(sum), -12);
    const int32_t now = edgeq_gru_half_up(((1 << 15) - forget) * *state + forget * fresh);
    *state = (int16_t)now;
    return edgeq_gru_answer(p, now);
}

#endif
