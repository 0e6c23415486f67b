/* An LSTM over a sequence, whose state begins at zero, two columns in one multiply. */
#include "edgeq_gate_rows_dsp.h"
#include "edgeq_lstm.h"

EDGEQ_KERNEL void edgeq_lstm_s8_dsp(const edgeq_lstm_params *p, const int8_t *x, int8_t *y,
                                    void *scratch) {
    edgeq_lstm_from_zero(p, x, y, scratch);
}
