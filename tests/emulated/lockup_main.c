/* Faults at once, and again in a HardFault handler of its own, which says "h": the core locks up.
 */
#include "hal.h"

#define VTOR (*(volatile uint32_t *)0xE000ED08u)

static volatile uint32_t vectors[16] __attribute__((aligned(128)));

static void nowhere(void) {
    *(volatile uint32_t *)0xF0000000u = 1u;
    __asm volatile("udf #0");
}

void faulting_handler(void);
void faulting_handler(void) {
    hal_putc('h');
    nowhere();
}

int main(void) {
    hal_init();
    vectors[3] = (uint32_t)(uintptr_t)faulting_handler;
    VTOR = (uint32_t)(uintptr_t)vectors;
    __asm volatile("dsb\n\tisb" ::: "memory");
    nowhere();
    return 0;
}
