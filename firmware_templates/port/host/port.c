/* The firmware as a program of this computer: bytes on stdin and stdout, time from the clock. */
#define _POSIX_C_SOURCE 200809L
#include "hal.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define WRITE_DEADLINE_MS 2000
#define IDLE_MS           20
#define NS_PER_S          1000000000u

/* One address for both: a stack of no bytes, which a caller must not paint or measure. */
uint32_t __stack_limit__[1];
extern uint32_t __stack_top__[1] __attribute__((alias("__stack_limit__")));

static uint8_t input[256];
static size_t input_count;
static size_t input_next;

void hal_init(void) {
}

/* Ends the program when its input has ended: a host process must not outlive its test. */
static void refill(int timeout_ms) {
    struct pollfd waiting = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, timeout_ms) <= 0) {
        return;
    }
    ssize_t got = read(STDIN_FILENO, input, sizeof input);
    if (got <= 0) {
        exit(0);
    }
    input_count = (size_t)got;
    input_next = 0;
}

int hal_getc(void) {
    if (input_next == input_count) {
        refill(0);
    }
    return input_next < input_count ? (int)input[input_next++] : -1;
}

void hal_putc(uint8_t byte) {
    struct pollfd waiting = {.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
    if (poll(&waiting, 1, WRITE_DEADLINE_MS) > 0 && write(STDOUT_FILENO, &byte, 1) != 1) {
        exit(1);
    }
}

uint32_t hal_cycles(void) {
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec);
}

uint32_t hal_clock_hz(void) {
    return NS_PER_S;
}

void hal_marker(bool high) {
    (void)high;
}

void hal_idle(void) {
    if (input_next == input_count) {
        refill(IDLE_MS);
    }
}
