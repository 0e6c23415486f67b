#ifndef EDGEQ_DIVIDE_H
#define EDGEQ_DIVIDE_H

#include <stdint.h>

/* Quotient and remainder, bit by bit: a 64-bit divide would pull in a routine of the library. */
uint64_t divide(uint64_t value, uint32_t divisor, uint32_t *remainder);

#endif
