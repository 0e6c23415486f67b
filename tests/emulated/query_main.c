/* Echoes, except for three letters. 'q': the cycle counter twice, with a pulse of the marker in
 * between, and the clock, as hexadecimal words. 'f': a fault. 'x': the word at `probed`. */
#include "hal.h"

extern volatile uint32_t probed;
volatile uint32_t probed; /* an address, put there from outside */

static void put_word(uint32_t word) {
    for (int shift = 28; shift >= 0; shift -= 4) {
        hal_putc((uint8_t)"0123456789abcdef"[(word >> shift) & 15u]);
    }
}

static void answer_query(void) {
    uint32_t before = hal_cycles();
    hal_marker(true);
    hal_marker(false);
    uint32_t after = hal_cycles();
    put_word(before);
    put_word(after);
    put_word(hal_clock_hz());
}

int main(void) {
    hal_init();
    for (const char *p = "ready\r\n"; *p != '\0'; ++p) {
        hal_putc((uint8_t)*p);
    }
    for (;;) {
        int byte = hal_getc();
        if (byte == 'q') {
            answer_query();
        } else if (byte == 'x') {
            put_word(*(volatile uint32_t *)probed);
        } else if (byte == 'f') {
            *(volatile uint32_t *)0xF0000000u = 1u;
            __asm volatile("udf #0");
        } else if (byte >= 0) {
            hal_putc((uint8_t)byte);
        } else {
            hal_idle();
        }
    }
}
