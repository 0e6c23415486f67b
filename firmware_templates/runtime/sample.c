#include "sample.h"

#include "board_config.h"
#include "crc32.h"
#include "elapsed.h"
#include "little_endian.h"
#include "port/hal.h"
#include "served_model.h"
#include "stack_paint.h"

uint8_t sample_input[EDGEQ_INPUT_BYTES] __attribute__((aligned(EDGEQ_PORT_ALIGNMENT)));
uint8_t sample_result[RESULT_BYTES];
uint8_t sample_layers[LAYERS_BYTES];
int8_t sample_output[EDGEQ_OUTPUT_BYTES] __attribute__((aligned(EDGEQ_PORT_ALIGNMENT)));

static bool result_valid;
static bool state_known;

static void forget_result(void) {
    result_valid = false;
    put_u32(sample_result + RESULT_STATUS, (uint32_t)RESULT_NONE);
}

void sample_init(void) {
    forget_result();
}

void sample_restart(void) {
    forget_result();
    served_reset();
    state_known = false;
}

void sample_reset(void) {
    sample_restart();
    state_known = true;
}

bool sample_ready(void) {
    return EDGEQ_STATE_BYTES == 0 || state_known;
}

int sample_infer(void) {
    forget_result();
    /* int8_t and uint8_t may alias; the region is bytes on the wire, int8 in the model. */
    return served_infer((const int8_t *)sample_input, sample_output);
}

static void mark(bool begin) {
#ifdef EDGEQ_ENERGY_MODE
    /* Energy runners count falling edges: one pulse at either end. */
    (void)begin;
    hal_marker(false);
    elapsed_wait_microsecond();
    hal_marker(true);
#else
    hal_marker(begin);
#endif
}

static void store_result(uint32_t id, uint32_t crc, int status, uint64_t cycles) {
    put_u32(sample_result + RESULT_ID, id);
    put_u32(sample_result + RESULT_STATUS, (uint32_t)status);
    put_u32(sample_result + RESULT_ROUTE, (uint32_t)served_route());
    put_u32(sample_result + RESULT_UNCERTAINTY, served_uncertainty());
    put_u32(sample_result + RESULT_CONFIDENCE, served_confidence());
    put_u64(sample_result + RESULT_CYCLES, cycles);
    put_u32(sample_result + RESULT_STACK, stack_high_water_bytes());
    put_u32(sample_result + RESULT_INPUT_CRC, crc);
    for (uint32_t i = 0; i < (uint32_t)EDGEQ_OUTPUT_BYTES; i++) {
        sample_result[RESULT_HEADER_BYTES + i] = (uint8_t)sample_output[i];
    }
    const uint32_t *layer_cycles = served_layer_cycles();
    for (uint32_t i = 0; i < (uint32_t)EDGEQ_LAYER_COUNT; i++) {
        put_u32(sample_layers + 4u * i, layer_cycles[i]);
    }
    /* Over both regions: a host that reads them in pieces can tell that they belong together. */
    uint32_t sum = crc32_update(0, sample_result, RESULT_CRC);
    sum = crc32_update(sum, sample_result + RESULT_HEADER_BYTES, (uint32_t)EDGEQ_OUTPUT_BYTES);
    put_u32(sample_result + RESULT_CRC, crc32_update(sum, sample_layers, LAYERS_BYTES));
    result_valid = true;
}

bool sample_run(uint32_t id, uint32_t crc) {
    if (result_valid && get_u32(sample_result + RESULT_ID) == id &&
        get_u32(sample_result + RESULT_INPUT_CRC) == crc) {
        return true;
    }
    if (crc32_update(0, sample_input, EDGEQ_INPUT_BYTES) != crc) {
        return false;
    }
    mark(true);
    uint64_t start = elapsed_cycles();
    int status = sample_infer();
    uint64_t cycles = elapsed_cycles() - start;
    mark(false);
    store_result(id, crc, status, cycles);
    return true;
}
