/* Vector table, memory set-up and faults. No interrupt is ever enabled: the firmware polls. */
#include "cortex_m/cortex_m.h"
#include "hal.h"

extern uint32_t __data_start__[], __data_end__[], __data_load__[];
extern uint32_t __bss_start__[], __bss_end__[];

int main(void);
void Reset_Handler(void);

static void put_text(const char *text) {
    while (*text != '\0') {
        hal_putc((uint8_t)*text++);
    }
}

static void put_hex(uint32_t word) {
    static const uint8_t digits[] = "0123456789abcdef";
    for (int shift = 28; shift >= 0; shift -= 4) {
        hal_putc(digits[(word >> shift) & 15u]);
    }
}

/* Says what went wrong where a host can read it, then stops: a restart would hide it. */
__attribute__((used, noreturn)) static void report_fault(const uint32_t *frame) {
    put_text("\r\ne-[fault at pc ");
    put_hex(frame[6]);
    put_text(" cfsr ");
    put_hex(SCB_CFSR);
    put_text("]\r\n");
    for (;;) {
        __asm volatile("" ::: "memory");
    }
}

__attribute__((naked, noreturn)) static void fault_handler(void) {
    __asm volatile("mrs r0, msp\n\tldr r1, =report_fault\n\tbx r1\n\t.ltorg");
}

typedef union {
    uint32_t *stack;
    void (*handler)(void);
} vector_t;

__attribute__((section(".vectors"), used)) static const vector_t vectors[16] = {
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
};

void Reset_Handler(void) {
#if defined(__ARM_FP) || defined(__ARM_PCS_VFP) /* the latter is all that zig cc defines */
    SCB_CPACR |= 0xFu << 20; /* FPU on before any instruction that could use it */
    __asm volatile("dsb\n\tisb" ::: "memory");
#endif
#if __ARM_ARCH >= 7
    SCB_VTOR = (uint32_t)(uintptr_t)vectors; /* a boot loader may have left its own */
#endif
    const uint32_t *from = __data_load__;
    for (uint32_t *to = __data_start__; to < __data_end__; ++to) {
        *to = *from++;
    }
    for (uint32_t *to = __bss_start__; to < __bss_end__; ++to) {
        *to = 0;
    }
    (void)main();
    for (;;) {
        __asm volatile("" ::: "memory");
    }
}
