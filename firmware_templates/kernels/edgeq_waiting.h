/* What a step of a stream leaves: nothing, while what it reads is of before the reset. */
#ifndef EDGEQ_WAITING_H
#define EDGEQ_WAITING_H

#include <stdint.h>

/* Behind `count` values stands the number of calls since the reset, at most `wait`. */
static inline void edgeq_leave(int16_t *state, int32_t count, int32_t wait) {
    const int32_t came = state[count];
    const int32_t waits = (came - wait) >> 31;
    for (int32_t i = 0; i < count; i++) {
        state[i] = (int16_t)(state[i] & ~waits);
    }
    state[count] = (int16_t)(came - waits);
}

#endif
