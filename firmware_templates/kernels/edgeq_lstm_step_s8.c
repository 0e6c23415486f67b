/* Steps of an LSTM that go on where the call before ended. */
#include "edgeq_gate_rows_plain.h"
#include "edgeq_lstm_step.h"

EDGEQ_KERNEL void edgeq_lstm_step_s8(const edgeq_lstm_step_params *p, const int8_t *x, int8_t *y,
                                     void *state, void *scratch) {
    edgeq_lstm_go_on(p, x, y, state, scratch);
}
