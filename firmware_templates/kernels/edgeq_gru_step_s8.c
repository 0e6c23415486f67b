/* Steps of a GRU that go on where the call before ended. */
#include "edgeq_gate_rows_plain.h"
#include "edgeq_gru_unit.h"
#include "edgeq_waiting.h"

EDGEQ_KERNEL void edgeq_gru_step_s8(const edgeq_gru_step_params *p, const int8_t *x, int8_t *y,
                                    void *state, void *scratch) {
    edgeq_gru_run(&p->sequence, x, y, state, scratch, EDGEQ_GRU_GATES, edgeq_gru_unit);
    edgeq_leave(state, p->sequence.units, p->wait);
}
