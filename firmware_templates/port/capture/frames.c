/* A frame is whole from the interrupt that ends its half to the one that ends the other half: from
 * then on the DMA writes over it. */
#include "capture/frames.h"

static const volatile uint16_t *buffer;
static uint32_t length;
static volatile uint32_t filled; /* frames, by the interrupt */
static uint32_t taken;           /* frames copied or lost */
static uint32_t lost;
static volatile uint32_t missed; /* by the interrupt */

void frames_begin(const uint16_t *halves, uint32_t samples) {
    buffer = halves;
    length = samples;
    filled = 0;
    taken = 0;
    lost = 0;
    missed = 0;
}

void frames_missed(void) {
    missed++;
}

void frames_filled(bool first, bool second) {
    uint32_t next = filled;
    if (first && second) {
        next += 2u;
    } else if (first || second) {
        /* in turns: a second time the same half, and the other's interrupt was missed */
        next += (next & 1u) == (second ? 1u : 0u) ? 1u : 2u;
    }
    filled = next;
}

/* Between the look and WFI no interrupt may be taken, or it would be slept over; it wakes the core
 * all the same (ARMv7-M Architecture Reference Manual, B1.5.18). */
static void sleep_until_filled(void) {
    __asm volatile("cpsid i" ::: "memory");
    if (filled == taken) {
        __asm volatile("dsb\n\twfi" ::: "memory");
    }
    __asm volatile("cpsie i\n\tisb" ::: "memory");
}

bool capture_frame(int16_t *frame, bool sleep) {
    if (sleep) {
        sleep_until_filled();
    }
    uint32_t ready = filled - taken;
    if (ready == 0u) {
        return false;
    }
    lost += ready - 1u;
    taken += ready - 1u;
    const volatile uint16_t *half = buffer + (taken & 1u) * length;
    for (uint32_t i = 0; i < length; i++) {
        frame[i] = (int16_t)(((uint32_t)half[i] << EDGEQ_CAPTURE_SHIFT) ^ EDGEQ_CAPTURE_FLIP);
    }
    if (filled - taken != 1u) {
        return false; /* written over meanwhile: the next call counts it */
    }
    taken++;
    return true;
}

uint32_t capture_overruns(void) {
    uint32_t ready = filled - taken;
    return lost + missed + (ready > 1u ? ready - 1u : 0u);
}
