/* Normalised mel energies that go on where the call before ended, by the multiplications that keep
 * the high word. */
#include "edgeq_log_mel_dsp.h"
#include "edgeq_pcen.h"
#include "edgeq_waiting.h"

EDGEQ_KERNEL void edgeq_pcen_step_s16_dsp(const edgeq_pcen_step_params *p, const int16_t *x,
                                          int8_t *y, void *state, void *scratch) {
    edgeq_pcen_frames(&p->sequence, x, y, state, scratch);
    edgeq_leave(state, 4 * p->sequence.log_mel.mels, p->wait);
}
