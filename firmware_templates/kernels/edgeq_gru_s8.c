/* A GRU over a sequence: int8 in and out, an int16 state in Q0.15, gates in Q3.12. */
#include "edgeq_gate_rows_plain.h"
#include "edgeq_gru_unit.h"

EDGEQ_KERNEL void edgeq_gru_s8(const edgeq_gru_params *p, const int8_t *x, int8_t *y,
                               void *scratch) {
    edgeq_gru_from_zero(p, x, y, scratch, EDGEQ_GRU_GATES, edgeq_gru_unit);
}
