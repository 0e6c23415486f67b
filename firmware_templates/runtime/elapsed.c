#include "elapsed.h"

#include "divide.h"
#include "port/hal.h"

static uint32_t last;
static uint64_t total;

uint64_t elapsed_cycles(void) {
    uint32_t now = hal_cycles();
    total += (uint32_t)(now - last);
    last = now;
    return total;
}

uint64_t elapsed_microseconds(void) {
    uint32_t hz = hal_clock_hz();
    uint32_t rest = 0;
    if (hz == 0u) {
        return 0;
    }
    uint64_t seconds = divide(elapsed_cycles(), hz, &rest);
    return seconds * 1000000u + divide((uint64_t)rest * 1000000u, hz, &rest);
}

void elapsed_wait_microsecond(void) {
    uint64_t hz = hal_clock_hz();
    uint32_t start = hal_cycles();
    for (uint32_t turn = 0; turn < 100000u; turn++) {
        uint32_t passed = hal_cycles() - start;
        if ((uint64_t)passed * 1000000u > hz) {
            return;
        }
    }
}
