#ifndef EDGEQ_ELAPSED_H
#define EDGEQ_ELAPSED_H

#include <stdint.h>

/* Cycles since boot in 64 bits. Call more often than the 32-bit counter wraps. */
uint64_t elapsed_cycles(void);
uint64_t elapsed_microseconds(void);

/* Waits at least one microsecond; returns as well when the counter stands still. */
void elapsed_wait_microsecond(void);

#endif
