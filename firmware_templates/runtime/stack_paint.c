#include "stack_paint.h"

#include <stdbool.h>

#include "port/hal.h"

#define PAINT        0x5AC3A53Cu
#define MARGIN_BYTES 128u /* the frames of stack_paint and what an unoptimised build adds */

static bool painted;

void stack_paint(void) {
    volatile uint32_t here = 0;
    uintptr_t pointer = (uintptr_t)&here;
    uintptr_t limit = (uintptr_t)__stack_limit__;
    uintptr_t top = (uintptr_t)__stack_top__;
    if (pointer <= limit || pointer >= top || pointer - limit < MARGIN_BYTES) {
        return;
    }
    for (uintptr_t at = limit; at < pointer - MARGIN_BYTES; at += sizeof(uint32_t)) {
        *(volatile uint32_t *)at = PAINT;
    }
    painted = true;
}

uint32_t stack_high_water_bytes(void) {
    uintptr_t at = (uintptr_t)__stack_limit__;
    uintptr_t top = (uintptr_t)__stack_top__;
    if (!painted) {
        return 0;
    }
    while (at < top && *(const volatile uint32_t *)at == PAINT) {
        at += sizeof(uint32_t);
    }
    return (uint32_t)(top - at);
}
