/* A GRU over a sequence: int8 in and out, an int16 state in Q0.15, gates in Q3.12, two columns in
 * one multiply. */
#include "edgeq_gate_rows_dsp.h"
#include "edgeq_gru_unit.h"

EDGEQ_KERNEL void edgeq_gru_s8_dsp(const edgeq_gru_params *p, const int8_t *x, int8_t *y,
                                   void *scratch) {
    edgeq_gru_from_zero(p, x, y, scratch, EDGEQ_GRU_GATES, edgeq_gru_unit);
}
