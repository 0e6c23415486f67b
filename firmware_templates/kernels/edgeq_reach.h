/* The part of a sliding window that lies inside the map, on one axis. */
#ifndef EDGEQ_REACH_H
#define EDGEQ_REACH_H

#include <stdint.h>

/* Taps first <= t < last of a window that starts at map position `start` (which may be < 0). */
typedef struct {
    int32_t start;
    int32_t first;
    int32_t last;
} edgeq_reach;

static inline edgeq_reach edgeq_reach_of(int32_t start, int32_t kernel, int32_t size) {
    edgeq_reach r = {start, start < 0 ? -start : 0, start + kernel > size ? size - start : kernel};
    return r;
}

#endif
