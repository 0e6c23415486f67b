#ifndef EDGEQ_STACK_PAINT_H
#define EDGEQ_STACK_PAINT_H

#include <stdint.h>

/* Fills the unused stack with a pattern. Call once, early, from a shallow frame. */
void stack_paint(void);

/* Bytes of stack ever used since stack_paint, or 0 where the stack is not ours (a host). */
uint32_t stack_high_water_bytes(void);

#endif
