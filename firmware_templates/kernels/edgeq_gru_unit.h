/* A unit of a GRU. */
#ifndef EDGEQ_GRU_UNIT_H
#define EDGEQ_GRU_UNIT_H

#include "edgeq_gru.h"

enum { EDGEQ_GRU_RESET, EDGEQ_GRU_UPDATE, EDGEQ_GRU_NEW, EDGEQ_GRU_GATES };

static inline int32_t edgeq_gru_unit(const edgeq_gru_params *p, const edgeq_gru_sums *sums,
                                     int32_t i, int32_t state) {
    const int32_t reset = edgeq_gru_gate(p, sums, EDGEQ_GRU_RESET, i);
    const int32_t update = edgeq_gru_gate(p, sums, EDGEQ_GRU_UPDATE, i);
    const int32_t fresh = edgeq_gru_fresh(p, sums, EDGEQ_GRU_NEW, i, reset);
    return edgeq_gru_half_up(update * state + ((1 << 15) - update) * fresh);
}

#endif
