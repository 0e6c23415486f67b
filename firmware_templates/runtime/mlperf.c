#include "mlperf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board_config.h"
#include "divide.h"
#include "ears.h"
#include "elapsed.h"
#include "firmware_id.h"
#include "mlperf_input.h"
#include "model/model.h"
#include "port/hal.h"
#include "sample.h"
#include "scale.h"
#include "serial.h"

/* A model that was exported for no benchmark answers to this one's name. */
#ifndef EDGEQ_MLPERF_ID
#ifdef EDGEQ_CAPTURE_IRQ
#define EDGEQ_MLPERF_ID "sww01"
#else
#define EDGEQ_MLPERF_ID "ic01"
#endif
#endif

/* Called from many places that may take their time: inlined there they are a kilobyte more. */
#define ONCE __attribute__((noinline))

#define COMMAND_BYTES 80u
#define PROFILE       "ULPMark for tinyML Firmware V0.0.1"

static char command[COMMAND_BYTES + 1u];
static uint32_t command_length;
static bool command_too_long;
static uint32_t load_bytes;    /* N of the last `db load N` */
static uint32_t load_position; /* bytes of it received */

static ONCE bool equal(const char *a, const char *b) {
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* Cuts the next token, separated by spaces, off the rest; NULL when there is none. */
static ONCE char *next_token(char **rest) {
    char *at = *rest;
    while (*at == ' ') {
        at++;
    }
    if (*at == '\0') {
        *rest = at;
        return NULL;
    }
    char *token = at;
    while (*at != '\0' && *at != ' ') {
        at++;
    }
    if (*at == ' ') {
        *at++ = '\0';
    }
    *rest = at;
    return token;
}

/* As atoi: the leading digits; capped so that it cannot overflow. -1 for a minus sign. */
static ONCE int32_t parse_number(const char *text) {
    int32_t value = 0;
    if (*text == '-') {
        return -1;
    }
    for (; *text >= '0' && *text <= '9'; text++) {
        value = value < 100000000 ? value * 10 + (*text - '0') : value;
    }
    return value;
}

static ONCE int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

/* Echoed text came from the line: keep noise from looking like a frame or a reply. */
static void print_safe(const char *text) {
    for (; *text != '\0'; text++) {
        serial_write((*text >= ' ' && *text < '}' && *text != '%') ? (uint8_t)*text : '?');
    }
}

static ONCE void timestamp(void) {
#ifdef EDGEQ_ENERGY_MODE
    hal_marker(false);
    elapsed_wait_microsecond();
    hal_marker(true);
#else
    uint64_t now = elapsed_microseconds();
    serial_text("m-lap-us-");
    serial_decimal(now);
    serial_text("\r\n");
#endif
}

static ONCE void print_counted(const char *before, uint32_t value, const char *after) {
    serial_text(before);
    serial_decimal(value);
    serial_text(after);
}

#ifdef EDGEQ_MLPERF_FLOATS
static void print_results(void) {
    uint32_t rest = 0;
    serial_text("m-results-[");
    serial_decimal(divide(mlperf_error_micro(), 1000000u, &rest));
    serial_text(".");
    serial_decimal_padded(rest, 6);
    serial_text("]\r\n");
}
#else
/* Six decimals, rounded; the reference prints three, too few for small scales. */
static void print_real(int32_t quantized) {
    int32_t steps = quantized - (int32_t)(EDGEQ_OUTPUT_ZERO_POINT);
    uint64_t magnitude = (uint64_t)(steps < 0 ? -steps : steps);
    int64_t micro = scale_in_units(magnitude * (uint64_t)(EDGEQ_OUTPUT_SCALE_MANTISSA),
                                   EDGEQ_OUTPUT_SCALE_EXPONENT, 1000000u);
    uint32_t rest = 0;
    if (steps < 0) {
        serial_text("-");
    }
    if (micro == SCALE_MOST) {
        serial_text("inf");
        return;
    }
    serial_decimal(divide((uint64_t)micro, 1000000u, &rest));
    serial_text(".");
    serial_decimal_padded(rest, 6);
}

static void print_results(void) {
    serial_text("m-results-[");
    for (uint32_t i = 0; i < (uint32_t)EDGEQ_OUTPUT_COUNT; i++) {
        if (i != 0u) {
            serial_text(",");
        }
        print_real(sample_code(i));
    }
    serial_text("]\r\n");
}
#endif

static ONCE int repeat(int32_t count) {
    int status = 0;
    for (; count > 0; count--) {
        status |= sample_infer();
        (void)elapsed_cycles(); /* the 32-bit counter must not wrap unseen */
    }
    return status;
}

static void measure(int32_t count, int32_t warmup) {
    sample_restart();
    print_counted("m-warmup-start-", (uint32_t)warmup, "\r\n");
    int status = repeat(warmup);
    serial_text("m-warmup-done\r\n");
    print_counted("m-infer-start-", (uint32_t)count, "\r\n");
    timestamp();
    status |= repeat(count);
    timestamp();
    serial_text("m-infer-done\r\n");
    if (status != 0) {
        serial_text("e-[Inference failed]\r\n");
    }
    print_results();
}

static void infer(char *arguments) {
    char *token = next_token(&arguments);
    int32_t count = token == NULL ? 1 : parse_number(token);
    if (count <= 0) {
        serial_text("e-[Inference iterations must be >0]\r\n");
        return;
    }
    token = next_token(&arguments);
    int32_t warmup = token == NULL ? 10 : parse_number(token);
    if (warmup < 0) {
        serial_text("e-[Inference warmup must be >=0]\r\n");
        return;
    }
    measure(count, warmup);
}

static void load(char *arguments) {
    char *token = next_token(&arguments);
    if (token == NULL) {
        serial_text("e-[Command 'db load' requires the # of bytes]\r\n");
        return;
    }
    int32_t size = parse_number(token);
    if (size <= 0) {
        serial_text("e-[Command 'db load' must be >0 bytes]\r\n");
        return;
    }
    if ((uint32_t)size > MLPERF_INPUT_BYTES) {
        print_counted("e-[Supplied buffer size ", (uint32_t)size, " exceeds maximum of ");
        print_counted("", MLPERF_INPUT_BYTES, "]\r\n");
        return;
    }
    load_bytes = (uint32_t)size;
    load_position = 0;
    print_counted("m-[Expecting ", load_bytes, " bytes]\r\n");
}

static void print_buffer(void) {
    for (uint32_t i = 0; i < load_bytes; i++) {
        if (i % 8u == 0u) {
            serial_text("m-buffer-");
        }
        serial_hex(mlperf_input_byte(i));
        serial_text((i % 8u == 7u || i + 1u == load_bytes) ? "\r\n" : "-");
    }
    if (load_bytes % 8u != 0u) {
        serial_text("\r\n"); /* as the reference firmware does */
    }
}

static void store_hex(const char *digits) {
    uint32_t length = 0;
    while (digits[length] != '\0') {
        length++;
    }
    if (length % 2u != 0u) {
        serial_text("e-[Insufficent number of hex digits]\r\n"); /* the reference's spelling */
        return;
    }
    for (uint32_t i = 0; i < length; i += 2u) {
        int high = hex_digit(digits[i]);
        int low = hex_digit(digits[i + 1u]);
        if (high < 0 || low < 0) {
            char bad[3] = {digits[i], digits[i + 1u], '\0'};
            serial_text("e-[Invalid hex digit '");
            print_safe(bad);
            serial_text("']\r\n");
            return;
        }
        if (load_position >= load_bytes) {
            serial_text("e-[More bytes than 'db load' announced]\r\n");
            return;
        }
        mlperf_input_store(load_position++, (uint8_t)(high * 16 + low));
        if (load_position == load_bytes) {
            serial_text("m-load-done\r\n");
            return; /* digits beyond the last byte are disregarded */
        }
    }
}

static void buffer(char *arguments) {
    char *token = next_token(&arguments);
    if (token == NULL) {
        serial_text("e-[Command 'db' requires a subcommand]\r\n");
    } else if (equal(token, "load")) {
        load(arguments);
    } else if (equal(token, "print")) {
        print_buffer();
    } else {
        store_hex(token);
    }
}

static void help(void) {
    serial_text(PROFILE "\r\n\r\n"
                        "help         : Print this information\r\n"
                        "name         : Print the name of the device\r\n"
                        "timestamp    : Generate a timestamp\r\n"
                        "profile      : Print the profile and the model id\r\n"
                        "db SUBCMD    : Manipulate a generic byte buffer\r\n"
                        "  load N     : Expect N bytes\r\n"
                        "  db HH[HH]* : Load 8-bit hex byte(s) until N bytes\r\n"
                        "  print      : Print the N bytes as hex\r\n"
                        "infer N W    : Execute N inferences after W warmup loops\r\n"
                        "results      : Return the result vector\r\n");
}

#ifdef EDGEQ_CAPTURE_IRQ
#define SOUND_HZ 16000

/* `start [RATE [OUTPUT]]`: the board answers first and hears then, until it is told to stop. */
static void start(char *arguments) {
    char *token = next_token(&arguments);
    int32_t rate_hz = token == NULL ? SOUND_HZ : parse_number(token);
    token = next_token(&arguments);
    int32_t target = token == NULL ? 0 : parse_number(token);
    if (rate_hz <= 0 || target < 0 || !ears_start((uint32_t)rate_hz, (uint32_t)target)) {
        serial_text("e-[Cannot hear at this rate, or no such output]\r\n");
        return;
    }
    serial_text("m-ready\r\n");
    mlperf_discard();
    ears_listen();
    ears_report();
}

static bool hears(const char *token, char *arguments) {
    if (equal(token, "start")) {
        start(arguments);
        return true;
    }
    return equal(token, "stop"); /* there is nothing to stop */
}
#else
static bool hears(const char *token, char *arguments) {
    (void)token;
    (void)arguments;
    return false;
}
#endif

static void execute(char *text) {
    char *token = next_token(&text);
    if (token == NULL) {
        serial_text("e-[Unknown command: ]\r\n");
    } else if (equal(token, "name")) {
        serial_text("m-name-dut-[" EDGEQ_BOARD_NAME "]\r\n");
    } else if (equal(token, "timestamp")) {
        timestamp();
    } else if (equal(token, "profile")) {
        serial_text("m-profile-[" PROFILE "]\r\nm-model-[" EDGEQ_MLPERF_ID "]\r\n");
    } else if (equal(token, "help")) {
        help();
    } else if (equal(token, "db")) {
        buffer(text);
    } else if (equal(token, "infer")) {
        infer(text);
    } else if (equal(token, "results")) {
        print_results();
    } else if (!hears(token, text)) {
        serial_text("e-[Unknown command: ");
        print_safe(token);
        serial_text("]\r\n");
    }
}

void mlperf_boot(void) {
#ifdef EDGEQ_ENERGY_MODE
    serial_text("m-timestamp-mode-energy\r\n");
#else
    serial_text("m-timestamp-mode-performance\r\n");
#endif
    timestamp();
    serial_text("m-init-done\r\nm-ready\r\n");
}

void mlperf_discard(void) {
    command_length = 0;
    command_too_long = false;
}

void mlperf_push(char byte) {
    if (byte == '\r' || byte == '\n') {
        return;
    }
    if (byte != '%') {
        if (command_length < COMMAND_BYTES) {
            command[command_length++] = byte;
        } else {
            command_too_long = true;
        }
        return;
    }
    command[command_length] = '\0';
    if (command_too_long) {
        serial_text("e-[Command is longer than 80 characters]\r\n");
    } else {
        execute(command);
    }
    serial_text("m-ready\r\n");
    mlperf_discard();
}
