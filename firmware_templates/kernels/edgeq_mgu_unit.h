/* A unit of an MGU. */
#ifndef EDGEQ_MGU_UNIT_H
#define EDGEQ_MGU_UNIT_H

#include "edgeq_gru.h"

enum { EDGEQ_MGU_FORGET, EDGEQ_MGU_NEW, EDGEQ_MGU_GATES };

static inline int32_t edgeq_mgu_unit(const edgeq_gru_params *p, const edgeq_gru_sums *sums,
                                     int32_t i, int32_t state) {
    const int32_t forget = edgeq_gru_gate(p, sums, EDGEQ_MGU_FORGET, i);
    const int32_t fresh = edgeq_gru_fresh(p, sums, EDGEQ_MGU_NEW, i, forget);
    return edgeq_gru_half_up(((1 << 15) - forget) * state + forget * fresh);
}

#endif
