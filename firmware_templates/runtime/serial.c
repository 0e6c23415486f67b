#include "serial.h"

#include <stdbool.h>

#include "port/hal.h"

void serial_write(uint8_t byte) {
    hal_putc(byte);
}

void serial_text(const char *text) {
    for (; *text != '\0'; text++) {
        serial_write((uint8_t)*text);
    }
}

/* Powers of ten, so that no core needs a divide. */
static const uint64_t powers[20] = {
    10000000000000000000u,
    1000000000000000000u,
    100000000000000000u,
    10000000000000000u,
    1000000000000000u,
    100000000000000u,
    10000000000000u,
    1000000000000u,
    100000000000u,
    10000000000u,
    1000000000u,
    100000000u,
    10000000u,
    1000000u,
    100000u,
    10000u,
    1000u,
    100u,
    10u,
    1u,
};

void serial_decimal_padded(uint64_t value, uint32_t digits) {
    for (uint32_t i = 0; i < 20u; i++) {
        uint32_t left = 20u - i;
        bool leading = value < powers[i] && left > digits && left > 1u;
        uint8_t digit = '0';
        while (value >= powers[i]) {
            value -= powers[i];
            digit++;
        }
        if (!leading) {
            serial_write(digit);
            digits = 20u;
        }
    }
}

void serial_decimal(uint64_t value) {
    serial_decimal_padded(value, 1);
}

void serial_hex(uint8_t byte) {
    static const char digits[] = "0123456789abcdef";
    serial_write((uint8_t)digits[byte >> 4]);
    serial_write((uint8_t)digits[byte & 15u]);
}
