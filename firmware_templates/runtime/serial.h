#ifndef EDGEQ_SERIAL_H
#define EDGEQ_SERIAL_H

#include <stdint.h>

/* Next received byte, or -1 at once. */
int serial_read(void);

/* Sends one byte, and meanwhile keeps what arrives: ports poll and have next to no FIFO. */
void serial_write(uint8_t byte);

void serial_text(const char *text);
void serial_decimal(uint64_t value);
void serial_decimal_padded(uint64_t value, uint32_t digits);
void serial_hex(uint8_t byte);

#endif
