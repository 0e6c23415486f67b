#include "served_model.h"

#include "model/model.h"

void served_init(void) {
    edgeq_init();
}

void served_reset(void) {
#ifdef EDGEQ_STATE_BYTES
    edgeq_reset();
#endif
}

int served_infer(const int8_t *input, int8_t *output) {
    return edgeq_infer(input, output);
}

int32_t served_route(void) {
    return edgeq_route();
}

uint32_t served_uncertainty(void) {
    return edgeq_uncertainty();
}

uint32_t served_confidence(void) {
    return edgeq_confidence();
}

const uint32_t *served_layer_cycles(void) {
    return edgeq_layer_cycles;
}
