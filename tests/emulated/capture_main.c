/* Captures FRAMES frames, sleeps between them, is slow after one of them; what came stays in RAM.
 */
#include "capture/capture.h"
#include "port/hal.h"

#define FRAMES  12u
#define SAMPLES 32u
#define KEPT    __attribute__((section(".noinit"))) /* the host writes it before the start */

KEPT volatile uint32_t rate_hz, slow_frame, slow_cycles, masked;
volatile uint32_t started, captured, overruns[FRAMES], busy, looks;
int16_t frames[FRAMES][SAMPLES];
static uint16_t halves[2u * SAMPLES];

void finished(void);
__attribute__((noinline)) void finished(void) {
    __asm volatile("" ::: "memory");
}

static void spin(uint32_t cycles) {
    if (masked != 0u) {
        __asm volatile("cpsid i" ::: "memory");
    }
    for (uint32_t loop = 0; loop < cycles / 11u; loop++) {
        __asm volatile("nop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop" ::: "memory");
    }
    __asm volatile("cpsie i\n\tisb" ::: "memory");
}

int main(void) {
    hal_init();
    for (uint32_t round = 0; round < 2u; round++) { /* a second start begins anew */
        started = capture_start(halves, SAMPLES, rate_hz) ? 1u : 0u;
        for (captured = 0; started != 0u && captured < FRAMES; captured++) {
            for (;;) {
                bool there = capture_frame(frames[captured], true);
                uint32_t awake = hal_cycles();
                looks++;
                if (there) {
                    break;
                }
                busy += hal_cycles() - awake;
            }
            uint32_t awake = hal_cycles();
            overruns[captured] = capture_overruns();
            if (captured == slow_frame) {
                spin(slow_cycles);
            }
            busy += hal_cycles() - awake;
        }
        if (started != 0u) {
            capture_stop();
        }
    }
    finished();
    return 0;
}
