/* Bytes to another place, by words. */
#ifndef EDGEQ_MOVE_H
#define EDGEQ_MOVE_H

#include <stdint.h>

/* Ascending, so `to` may lie below `from`. Volatile, or a compiler makes calls of the loops. */
static inline void edgeq_move(void *to, const void *from, int32_t bytes) {
    uint8_t *made = to;
    const uint8_t *given = from;
    volatile uint8_t *rest = to;
    int32_t words = bytes & ~3;
    for (int32_t at = 0; at != words; at += 4) {
        uint32_t word;
        __builtin_memcpy(&word, &given[at], sizeof word);
        __builtin_memcpy(&made[at], &word, sizeof word);
    }
    for (int32_t at = words; at != bytes; at++) {
        rest[at] = given[at];
    }
}

#endif
