/* The model as a program of this computer, for its proof where no virtual board runs it. A state
 * goes on from row to row.
 *
 * stdin: for each row what sends it on its route, then the input. A mixture: EDGEQ_EXPERT_COUNT
 * bytes, the order of the table of experts; a cascade: its thresholds, int32 as this computer has
 * them; a row with others than the model's own stands alone, a reset before and behind it.
 * stdout: for each row the output, the route (int32) and the uncertainty (uint32), as this computer
 * stores them. The model comes with its table of experts writable (edgeq/toolchain/host.py). */
#include <stdio.h>
#include <string.h>

#include EDGEQ_MODEL_SOURCE
#include "model/model.h"

#ifndef EDGEQ_OUTPUT_BYTES
#define EDGEQ_OUTPUT_BYTES EDGEQ_OUTPUT_COUNT
#endif

static union {
    int16_t aligned;
    int8_t bytes[EDGEQ_INPUT_BYTES];
} input;

static union {
    int16_t aligned;
    int8_t bytes[EDGEQ_OUTPUT_BYTES];
} output;

#ifdef EDGEQ_THRESHOLD_COUNT
static int send(void) {
    static const int32_t own[EDGEQ_THRESHOLD_COUNT] = EDGEQ_THRESHOLDS;
    static int alone;
    int32_t asked[EDGEQ_THRESHOLD_COUNT];
    if (fread(asked, sizeof asked[0], EDGEQ_THRESHOLD_COUNT, stdin) != EDGEQ_THRESHOLD_COUNT) {
        return 0;
    }
    int before = alone;
    alone = memcmp(asked, own, sizeof own) != 0;
    if (before || alone) {
        edgeq_init();
    }
    for (int32_t i = 0; i < EDGEQ_THRESHOLD_COUNT; i++) {
        if (edgeq_set_threshold(i, asked[i]) != 0) {
            return 0;
        }
    }
    return 1;
}
#elif EDGEQ_EXPERT_COUNT > 0
static int send(void) {
    static unsigned char own[sizeof experts];
    static uint8_t order[EDGEQ_EXPERT_COUNT];
    static int kept;
    if (!kept) {
        memcpy(own, experts, sizeof own);
        kept = 1;
    }
    if (fread(order, 1, sizeof order, stdin) != sizeof order) {
        return 0;
    }
    for (size_t i = 0; i < sizeof order; i++) {
        size_t from = (size_t)(order[i] % EDGEQ_EXPERT_COUNT) * sizeof experts[0];
        memcpy(&experts[i], own + from, sizeof experts[0]);
    }
    return 1;
}
#else
static int send(void) {
    return 1;
}
#endif

int main(void) {
    edgeq_init();
    while (send() && fread(input.bytes, 1, EDGEQ_INPUT_BYTES, stdin) == EDGEQ_INPUT_BYTES) {
        int status = edgeq_infer(input.bytes, output.bytes);
        int32_t route = edgeq_route();
        uint32_t uncertainty = edgeq_uncertainty();
        if (status != 0 ||
            fwrite(output.bytes, 1, EDGEQ_OUTPUT_BYTES, stdout) != EDGEQ_OUTPUT_BYTES ||
            fwrite(&route, sizeof route, 1, stdout) != 1 ||
            fwrite(&uncertainty, sizeof uncertainty, 1, stdout) != 1) {
            return 1;
        }
    }
    return 0;
}
