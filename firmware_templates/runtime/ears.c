/* The board's own microphone: a hop, an inference, sleep. What MLPerf Tiny's streaming wake words
 * ask of a board: a pulse of the marker pin when it begins and at each detection, no text between.
 */
#include "ears.h"

#ifdef EDGEQ_CAPTURE_IRQ

#include "elapsed.h"
#include "port/capture/capture.h"
#include "port/hal.h"
#include "sample.h"
#include "serial.h"

#define SAMPLES         ((uint32_t)EDGEQ_INPUT_BYTES / 2u)
#define MOST_DETECTIONS 64u
#define COMMAND_END     '%'
#define SILENCE_MS      100u

static uint16_t halves[2u * SAMPLES];
static uint32_t rate, wanted, hops, failed;
static uint32_t detections, detected_at[MOST_DETECTIONS]; /* hops */
static uint64_t busy_cycles;
static bool started, above;

static void pulse(void) {
    hal_marker(true);
    elapsed_wait_microsecond();
    hal_marker(false);
}

bool ears_start(uint32_t rate_hz, uint32_t target) {
    if (target >= (uint32_t)EDGEQ_OUTPUT_COUNT || EDGEQ_INPUT_BYTES % 2 != 0) {
        return false;
    }
    sample_restart();
    rate = rate_hz;
    wanted = target;
    hops = 0;
    failed = 0;
    detections = 0;
    busy_cycles = 0;
    above = false;
    started = capture_start(halves, SAMPLES, rate_hz);
    return started;
}

/* The wanted output is larger than every other. */
static bool wins(void) {
    int32_t best = sample_code(wanted);
    for (uint32_t i = 0; i < (uint32_t)EDGEQ_OUTPUT_COUNT; i++) {
        if (i != wanted && sample_code(i) >= best) {
            return false;
        }
    }
    return true;
}

static void hear(void) {
    failed += sample_infer() != 0 ? 1u : 0u;
    bool now = wins();
    if (now && !above) {
        pulse();
        if (detections < MOST_DETECTIONS) {
            detected_at[detections] = hops;
        }
        detections++;
    }
    above = now;
    hops++;
}

/* To the end of the command that ended it, or until the line is silent. */
static void drop_command(int byte) {
    uint64_t silence = (uint64_t)(hal_clock_hz() / 1000u) * SILENCE_MS;
    uint64_t last = elapsed_cycles();
    while (byte != COMMAND_END && elapsed_cycles() - last < silence) {
        int next = hal_getc();
        if (next >= 0) {
            byte = next;
            last = elapsed_cycles();
        }
    }
}

void ears_listen(void) {
    if (!started) {
        return;
    }
    pulse();
    for (;;) {
        /* the port's bytes are those of a frame in C: int16 in the model's own order */
        bool whole = capture_frame((int16_t *)(void *)sample_input, true);
        uint64_t awake = elapsed_cycles();
        if (whole) {
            hear();
        }
        busy_cycles += elapsed_cycles() - awake;
        int byte = hal_getc();
        if (byte >= 0) {
            started = false;
            capture_stop();
            drop_command(byte);
            return;
        }
    }
}

static void line(const char *name, uint64_t value) {
    serial_text(name);
    serial_decimal(value);
    serial_text("\r\n");
}

void ears_report(void) {
    line("m-hops-", hops);
    line("m-hop-samples-", SAMPLES);
    line("m-rate-hz-", rate);
    line("m-overruns-", capture_overruns());
    line("m-failed-", failed);
    line("m-busy-cycles-", busy_cycles);
    line("m-detections-", detections);
    serial_text("m-detected-[");
    for (uint32_t i = 0; i < detections && i < MOST_DETECTIONS; i++) {
        serial_text(i == 0u ? "" : ",");
        serial_decimal(detected_at[i]);
    }
    serial_text("]\r\n");
}

#endif
