/* The firmware's serial parser as a fuzz target: what may come over the line, comes; then a ping
 * must still be answered. libFuzzer's entry, or with -DSTANDALONE a loop over cases on stdin:
 * length (4 bytes, little-endian) and bytes in, the same of what the firmware said out. */
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "port/hal.h"
#include "runtime/frame.h"
#include "runtime/mlperf.h"
#include "runtime/protocol.h"
#include "runtime/sample.h"

#define MOST_INFERENCES 200u /* `infer 999999999` is obeyed, and would take hours */
#define HEARD_BYTES     (1u << 16)

uint32_t __stack_limit__[1];
uint32_t __stack_top__[1];
uint32_t edgeq_layer_cycles[EDGEQ_LAYER_COUNT];

static const uint8_t *in;
static size_t in_left;
static uint8_t heard[HEARD_BYTES]; /* the last bytes the firmware said, as a ring */
static size_t heard_count;
static uint32_t cycles, inferences;
static jmp_buf pulled_plug;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void hal_init(void) {
}

int hal_getc(void) {
    if (in_left == 0u) {
        return -1;
    }
    in_left--;
    return *in++;
}

void hal_putc(uint8_t byte) {
    heard[heard_count++ % HEARD_BYTES] = byte;
}

uint32_t hal_cycles(void) {
    cycles += 1000u;
    return cycles;
}

uint32_t hal_clock_hz(void) {
    return 1000000u;
}

uint32_t hal_baud_near(uint32_t baud) {
    return baud;
}

void hal_set_baud(uint32_t baud) {
    (void)baud;
}

void hal_marker(bool high) {
    (void)high;
}

void hal_idle(void) {
}

void edgeq_init(void) {
}

#if EDGEQ_STATE_BYTES > 0
static int8_t state[EDGEQ_STATE_BYTES]; /* the last inputs */

void edgeq_reset(void) {
    memset(state, 0, sizeof state);
}
#endif

int edgeq_infer(const int8_t *input, int8_t *output) {
    if (++inferences > MOST_INFERENCES) {
        longjmp(pulled_plug, 1);
    }
    for (uint32_t i = 0; i < (uint32_t)EDGEQ_OUTPUT_COUNT; i++) {
        output[i] = (int8_t)(input[i % (uint32_t)EDGEQ_INPUT_BYTES] ^ (int8_t)i);
    }
#if EDGEQ_STATE_BYTES > 0
    for (uint32_t i = 0; i < (uint32_t)EDGEQ_STATE_BYTES; i++) {
        output[i % (uint32_t)EDGEQ_OUTPUT_COUNT] ^= state[i];
        state[i] = input[i];
    }
#endif
    for (uint32_t i = 0; i < (uint32_t)EDGEQ_LAYER_COUNT; i++) {
        edgeq_layer_cycles[i] = i;
    }
    return input[0] == 127 ? 7 : 0;
}

int32_t edgeq_route(void) {
    return -1;
}

uint32_t edgeq_uncertainty(void) {
    return 0;
}

uint32_t edgeq_confidence(void) {
    return 0;
}

static void feed(const uint8_t *bytes, size_t count) {
    in = bytes;
    in_left = count;
    inferences = 0;
    if (setjmp(pulled_plug) == 0) {
        while (protocol_poll()) {
        }
    }
}

/* As after a reset, but for the time: the runtime's own statics have no other way back. */
static void reset(void) {
    static const char commands[] = "~\ndb load 1%db 00%";
    mlperf_discard();
    feed((const uint8_t *)commands, sizeof commands - 1u);
    memset(sample_input, 0, EDGEQ_INPUT_BYTES);
    memset(sample_output, 0, EDGEQ_OUTPUT_COUNT);
    protocol_init();
    heard_count = 0;
}

/* The answer must be the last that is said; the question begins with two delimiters more. */
static void must_answer(const uint8_t *question, size_t count, const uint8_t *answer) {
    const size_t wanted = count - 2u;
    feed(question, count);
    bool same = heard_count >= wanted;
    for (size_t i = 0; same && i < wanted; i++) {
        same = heard[(heard_count - wanted + i) % HEARD_BYTES] == answer[i];
    }
    if (!same) {
        fprintf(stderr, "the firmware no longer answers a ping\n");
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* ping 0x01, seq 0x4142, payload "hi"; its answer is 0x81 */
    static const uint8_t ping[] = {0x7E, 0x7E, 0x7E, 0x01, 0x42, 0x41, 0x02,
                                   0x68, 0x69, 0x4A, 0xAA, 0xCB, 0xE1, 0x7E};
    static const uint8_t pong[] = {0x7E, 0x81, 0x42, 0x41, 0x02, 0x68,
                                   0x69, 0x92, 0xBE, 0x7B, 0xFF, 0x7E};
    reset();
    feed(data, size);
    must_answer(ping, sizeof ping, pong);
    return 0;
}

#ifdef STANDALONE
static void answer(void) {
    size_t count = heard_count < HEARD_BYTES ? heard_count : HEARD_BYTES;
    uint8_t head[4] = {(uint8_t)count, (uint8_t)(count >> 8), (uint8_t)(count >> 16), 0};
    fwrite(head, 1, sizeof head, stdout);
    for (size_t i = heard_count - count; i < heard_count; i++) {
        putchar(heard[i % HEARD_BYTES]);
    }
    fflush(stdout);
}

int main(void) {
    uint8_t head[4];
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        size_t size = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
        uint8_t *data = malloc(size > 0u ? size : 1u); /* no longer: a byte beyond is seen */
        if (head[3] != 0u || data == NULL || fread(data, 1, size, stdin) != size) {
            fprintf(stderr, "a case is cut, or longer than 2^24 bytes\n");
            return 1;
        }
        LLVMFuzzerTestOneInput(data, size);
        free(data);
        answer();
    }
    return 0;
}
#endif
