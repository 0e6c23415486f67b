/* A minimal gated unit over a sequence: a GRU whose one gate forgets and resets. */
#include "edgeq_gate_rows_plain.h"
#include "edgeq_mgu_unit.h"

EDGEQ_KERNEL void edgeq_mgu_s8(const edgeq_gru_params *p, const int8_t *x, int8_t *y,
                               void *scratch) {
    edgeq_gru_from_zero(p, x, y, scratch, EDGEQ_MGU_GATES, edgeq_mgu_unit);
}
