/* Steps of an MGU that go on where the call before ended, two columns in one multiply. */
#include "edgeq_gate_rows_dsp.h"
#include "edgeq_mgu_unit.h"
#include "edgeq_waiting.h"

EDGEQ_KERNEL void edgeq_mgu_step_s8_dsp(const edgeq_gru_step_params *p, const int8_t *x, int8_t *y,
                                        void *state, void *scratch) {
    edgeq_gru_run(&p->sequence, x, y, state, scratch, EDGEQ_MGU_GATES, edgeq_mgu_unit);
    edgeq_leave(state, p->sequence.units, p->wait);
}
