/* An LSTM over a sequence, whose state begins at zero. */
#include "edgeq_lstm.h"

EDGEQ_KERNEL void edgeq_lstm_s8(const edgeq_lstm_params *p, const int8_t *x, int8_t *y,
                                void *scratch) {
    int16_t *cell = scratch;
    int8_t *first = (int8_t *)(cell + p->units);
    for (int32_t i = 0; i < p->units; i++) {
        cell[i] = 0;
        first[i] = (int8_t)p->output_zero_point;
    }
    edgeq_lstm_run(p, x, y, cell, first);
}
