/* Normalised mel energies that go on where the call before ended. */
#include "edgeq_log_mel_plain.h"
#include "edgeq_pcen.h"
#include "edgeq_waiting.h"

EDGEQ_KERNEL void edgeq_pcen_step_s16(const edgeq_pcen_step_params *p, const int16_t *x, int8_t *y,
                                      void *state, void *scratch) {
    edgeq_pcen_frames(&p->sequence, x, y, state, scratch);
    edgeq_leave(state, 4 * p->sequence.log_mel.mels, p->wait);
}
