#include "model/model.h"

/* FNV-1a over the input, then one linear congruential step per number given out. */
uint32_t edgeq_layer_cycles[EDGEQ_LAYER_COUNT];
static uint32_t state;

static uint32_t step(void) {
    state = state * 1664525u + 1013904223u;
    return state;
}

void edgeq_init(void) {
    state = 0;
}

int edgeq_infer(const int8_t *input, int8_t *output) {
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < EDGEQ_INPUT_BYTES; i++) {
        hash = (hash ^ (uint8_t)input[i]) * 16777619u;
    }
    state = hash;
    for (uint32_t i = 0; i < EDGEQ_OUTPUT_COUNT; i++) {
        output[i] = (int8_t)((int32_t)(step() >> 24) - 128);
    }
    for (uint32_t i = 0; i < EDGEQ_LAYER_COUNT; i++) {
        edgeq_layer_cycles[i] = step();
    }
    /* Input byte 0 is a failing inference when it is 127 and the next is -128. */
    return (input[0] == 127 && input[1] == -128) ? 7 : 0;
}

int32_t edgeq_route(void) {
    return (int32_t)(state % 3u) - 1;
}

uint32_t edgeq_uncertainty(void) {
    return state >> 8;
}

uint32_t edgeq_confidence(void) {
    return state % 32769u;
}
