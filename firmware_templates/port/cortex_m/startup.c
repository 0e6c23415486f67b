/* Vector table, memory set-up and faults. The firmware polls: a microphone's is the one interrupt
 * that is ever enabled. */
#include "board_config.h"
#include "cortex_m/cortex_m.h"
#include "start.h"

__attribute__((noinline)) static void put_named(const char *name, uint32_t word) {
    put_text(name);
    put_hex(word);
}

/* Says what went wrong where a host can read it, at once and to each that asks; a restart would
 * hide it. `frame`: what the core stacked (Armv7-M Architecture Reference Manual, B1.5.6). */
__attribute__((used, noreturn)) static void report_fault(const uint32_t *frame) {
    for (;;) {
        put_named("\r\ne-[fault at pc ", frame[6]);
        put_named(" cfsr ", SCB_CFSR);
        put_named(" address ", SCB_BFAR);
        put_named(" lr ", frame[5]);
        put_named(" r0 ", frame[0]);
        put_named(" sp ", (uint32_t)(uintptr_t)frame);
        put_text("]\r\n");
        wait_until_asked();
    }
}

__attribute__((naked, noreturn)) static void fault_handler(void) {
    __asm volatile("mrs r0, msp\n\tldr r1, =report_fault\n\tbx r1\n\t.ltorg");
}

typedef union {
    uint32_t *stack;
    void (*handler)(void);
} vector_t;

#ifdef EDGEQ_CAPTURE_IRQ
void capture_interrupt(void);
#define VECTORS (16u + EDGEQ_CAPTURE_IRQ + 1u)
#else
#define VECTORS 16u
#endif

__attribute__((section(".vectors"), used)) static const vector_t vectors[VECTORS] = {
    {.stack = __stack_top__},
    {.handler = Reset_Handler},
    {.handler = fault_handler}, /* NMI */
    {.handler = fault_handler}, /* HardFault; the next three escalate to it */
    {.handler = fault_handler}, /* MemManage */
    {.handler = fault_handler}, /* BusFault */
    {.handler = fault_handler}, /* UsageFault */
    {.handler = fault_handler}, /* SecureFault on ARMv8-M */
    {.stack = 0},
    {.stack = 0},
    {.stack = 0},
    {.handler = fault_handler}, /* SVCall */
    {.handler = fault_handler}, /* DebugMonitor */
    {.stack = 0},
    {.handler = fault_handler}, /* PendSV */
    {.handler = fault_handler}, /* SysTick */
#ifdef EDGEQ_CAPTURE_IRQ
    [16u + EDGEQ_CAPTURE_IRQ] = {.handler = capture_interrupt},
#endif
};

void Reset_Handler(void) {
#if defined(__ARM_FP) || defined(__ARM_PCS_VFP) /* the latter is all that zig cc defines */
    SCB_CPACR |= 0xFu << 20; /* FPU on before any instruction that could use it */
    __asm volatile("dsb\n\tisb" ::: "memory");
#endif
#if __ARM_ARCH >= 7
    SCB_VTOR = (uint32_t)(uintptr_t)vectors; /* a boot loader may have left its own */
#endif
    run_main();
}
