/* Steps of an LSTM from a state that is kept. */
#ifndef EDGEQ_LSTM_STEP_H
#define EDGEQ_LSTM_STEP_H

#include "edgeq_lstm.h"
#include "edgeq_waiting.h"

static inline void edgeq_lstm_go_on(const edgeq_lstm_step_params *p, const int8_t *x, int8_t *y,
                                    void *state, void *scratch) {
    const int32_t units = p->sequence.units, zero = p->sequence.output_zero_point;
    int16_t *cell = state, *hidden = cell + units;
    int8_t *first = scratch;
    for (int32_t i = 0; i < units; i++) {
        first[i] = (int8_t)(hidden[i] + zero);
    }
    edgeq_lstm_run(&p->sequence, x, y, cell, first);
    const int8_t *last = y + (p->sequence.steps - 1) * units;
    for (int32_t i = 0; i < units; i++) {
        hidden[i] = (int16_t)(last[i] - zero);
    }
    edgeq_leave(cell, 2 * units, p->wait);
}

#endif
