/* The part of the port that STM32F4 and L4+ have alike: cycles, clock, marker. */
#include "hal.h"
#include "stm32/stm32.h"

uint32_t stm32_clock_hz;

uint32_t hal_cycles(void) {
    return port_cycles();
}

uint32_t hal_clock_hz(void) {
    return stm32_clock_hz;
}

void hal_marker(bool high) {
    stm32_marker(high);
}

void hal_idle(void) {
}
