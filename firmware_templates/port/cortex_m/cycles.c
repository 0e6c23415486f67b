/* The cycle counter: DWT CYCCNT where it runs, else SysTick widened to 32 bits. */
#include "cortex_m/cortex_m.h"

#define SYSTICK_MASK 0x00FFFFFFu

#if __ARM_ARCH >= 7
static bool dwt_runs;
#else
enum { dwt_runs = false }; /* ARMv6-M has no CYCCNT, and need not answer there */
#endif
static uint32_t systick_last;
static uint32_t systick_total;

static void dwt_init(void) {
#if __ARM_ARCH >= 7
    SCB_DEMCR |= 1u << 24; /* TRCENA */
    DWT_CYCCNT = 0;
    DWT_CTRL |= 1u; /* CYCCNTENA */
    uint32_t before = DWT_CYCCNT;
    __asm volatile("nop\n\tnop\n\tnop\n\tnop" ::: "memory");
    dwt_runs = DWT_CYCCNT != before;
#endif
}

void port_cycles_init(void) {
    dwt_init();
    if (!dwt_runs) {
        SYST_RVR = SYSTICK_MASK;
        SYST_CVR = 0;
        SYST_CSR = 5u; /* enabled, processor clock, no interrupt */
        systick_last = SYST_CVR & SYSTICK_MASK;
    }
}

/* SysTick counts down through 24 bits: right as long as calls are under 2^24 cycles apart. */
static uint32_t systick_cycles(void) {
    uint32_t now = SYST_CVR & SYSTICK_MASK;
    systick_total += (systick_last - now) & SYSTICK_MASK;
    systick_last = now;
    return systick_total;
}

uint32_t port_cycles(void) {
    return dwt_runs ? DWT_CYCCNT : systick_cycles();
}
