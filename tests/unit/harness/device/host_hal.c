/* The port of the tests: stdin and stdout of a process, cycles counted per call, so that two runs
 * agree. CYCLES_A_CALL is large, so that the 32-bit counter wraps within one test. */
#define _DEFAULT_SOURCE /* cfsetspeed */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "port/hal.h"

#ifndef CYCLES_A_CALL
#define CYCLES_A_CALL 1000u
#endif

uint32_t __stack_limit__[1];
uint32_t __stack_top__[1];
static uint8_t in[4096];
static uint8_t out[4096];
static bool ended;
static uint32_t in_count, in_at, out_count, cycles;

static void flush(void) {
    for (uint32_t at = 0; at < out_count;) {
        ssize_t done = write(1, out + at, out_count - at);
        if (done <= 0) {
            exit(0); /* the other end is gone */
        }
        at += (uint32_t)done;
    }
    out_count = 0;
}

static int input_waits(int timeout_ms) {
    struct pollfd fd = {.fd = 0, .events = POLLIN, .revents = 0};
    return poll(&fd, 1, timeout_ms) > 0;
}

void hal_init(void) {
}

int hal_getc(void) {
    if (in_at == in_count) {
        if (ended || !input_waits(0)) {
            return -1;
        }
        ssize_t got = read(0, in, sizeof in);
        if (got <= 0) {
            ended = true; /* answers still held back go out first */
            return -1;
        }
        in_count = (uint32_t)got;
        in_at = 0;
    }
    return in[in_at++];
}

void hal_putc(uint8_t byte) {
    if (out_count == sizeof out) {
        flush();
    }
    out[out_count++] = byte;
}

uint32_t hal_cycles(void) {
    cycles += CYCLES_A_CALL;
    return cycles;
}

uint32_t hal_clock_hz(void) {
    return 1000000u;
}

#ifdef SETS_BAUD
/* The rates that the tests ask for; the line between reads them from the terminal. */
static speed_t speed(uint32_t baud) {
    return baud == 115200u ? B115200 : baud == 921600u ? B921600 : B0;
}

uint32_t hal_baud_near(uint32_t baud) {
    return speed(baud) == B0 ? 0u : baud;
}

void hal_set_baud(uint32_t baud) {
    struct termios line;
    struct timespec on_the_wire = {0, 100000000};
    flush();
    (void)nanosleep(&on_the_wire, NULL);
    (void)tcgetattr(0, &line);
    (void)cfsetspeed(&line, speed(baud));
    (void)tcsetattr(0, TCSANOW, &line);
}
#endif

/* Edges go to stderr with their cycle: what a current meter would see of the pin. */
void hal_marker(bool high) {
#ifdef LOG_MARKER
    fprintf(stderr, "%d %lu\n", (int)high, (unsigned long)cycles);
#else
    (void)high;
#endif
}

void hal_idle(void) {
    flush();
    if (ended) {
        exit(0);
    }
    (void)input_waits(1000);
}
