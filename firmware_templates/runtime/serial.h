#ifndef EDGEQ_SERIAL_H
#define EDGEQ_SERIAL_H

#include <stdint.h>

void serial_write(uint8_t byte);
void serial_text(const char *text);
void serial_decimal(uint64_t value);
void serial_decimal_padded(uint64_t value, uint32_t digits);
void serial_hex(uint8_t byte);

#endif
