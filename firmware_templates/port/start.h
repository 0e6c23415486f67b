/* What the start-up code of every core shares: memory set-up, and the words of a fault. */
#ifndef EDGEQ_PORT_START_H
#define EDGEQ_PORT_START_H

#include <stdint.h>

#include "hal.h"

extern uint32_t __data_start__[], __data_end__[], __data_load__[];
extern uint32_t __bss_start__[], __bss_end__[];

int main(void);
void Reset_Handler(void);

static void put_text(const char *text) {
    while (*text != '\0') {
        hal_putc((uint8_t)*text++);
    }
}

static void put_hex(uint32_t word) {
    static const uint8_t digits[] = "0123456789abcdef";
    for (int shift = 28; shift >= 0; shift -= 4) {
        hal_putc(digits[(word >> shift) & 15u]);
    }
}

/* Until a host asks, by a frame or a text command: it may have come after the words were sent. */
__attribute__((unused)) static void wait_until_asked(void) {
    int byte = -1;
    while (byte != '~' && byte != '%') {
        byte = hal_getc();
    }
}

/* A restart would hide what went wrong. */
__attribute__((noreturn)) static void stay(void) {
    for (;;) {
        __asm__ volatile("" ::: "memory");
    }
}

/* Sets up .data and .bss, then the firmware. */
__attribute__((noreturn)) static void run_main(void) {
    const uint32_t *from = __data_load__;
    for (uint32_t *to = __data_start__; to < __data_end__; ++to) {
        *to = *from++;
    }
    for (uint32_t *to = __bss_start__; to < __bss_end__; ++to) {
        *to = 0;
    }
    (void)main();
    stay();
}

#endif
