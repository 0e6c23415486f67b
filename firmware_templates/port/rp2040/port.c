/* RP2040: 125 MHz by the PLL from a 12 MHz crystal, UART0, marker pin, cycle counter.
 * Registers: RP2040 datasheet, 2.3.1 (SIO), 2.14 (RESETS), 4.6 (TIMER), 4.7.2 (tick). */
#define RESETS_BASE   0x4000C000u
#define CLOCKS_BASE   0x40008000u
#define XOSC_BASE     0x40024000u
#define PLL_BASE      0x40028000u
#define IO_BANK0_BASE 0x40014000u

#define RESET_IO_BANK0   (1u << 5)
#define RESET_PADS_BANK0 (1u << 8)
#define RESET_PLL_SYS    (1u << 12)
#define RESET_TIMER      (1u << 21)
#define RESET_UART0      (1u << 22)

#define SIO_GPIO_OUT_SET REG32(0xD0000014u)
#define SIO_GPIO_OUT_CLR REG32(0xD0000018u)
#define SIO_GPIO_OE_SET  REG32(0xD0000024u)

#define ROSC_HZ      6500000u /* the ring oscillator that the ROM starts on; 1.8 to 12 MHz */
#define ROSC_DIVIDER 6u

#include "cortex_m/cortex_m.h"
#include "rp2/rp2.h"

#define WATCHDOG_TICK  REG32(0x4005802Cu)
#define TICK_ENABLE    (1u << 9)
#define TIMER_TIMERAWL REG32(0x40054028u)

#define SYSTICK_MASK  0x00FFFFFFu
#define SYSTICK_UPPER 0x00800000u

static uint32_t first_tick;

static void cycles_init(void) {
    WATCHDOG_TICK = clock->tick_divider | TICK_ENABLE;
    port_cycles_init();
    first_tick = TIMER_TIMERAWL;
}

void hal_init(void) {
    clock = start_clocks();
    (void)out_of_reset(RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_TIMER | RESET_UART0);
    uart_init();
    marker_init();
    cycles_init();
}

/* SysTick counts cycles, but wraps within one large layer; the timer does not, and both come from
 * one crystal. So the timer tells how often SysTick has wrapped, and SysTick where it is: exact
 * while the two, read one after the other, are less than half a wrap apart. */
uint32_t hal_cycles(void) {
    uint32_t fine = SYSTICK_MASK - (SYST_CVR & SYSTICK_MASK);
    uint32_t coarse = (TIMER_TIMERAWL - first_tick) * clock->cycles_per_tick;
    uint32_t behind = (fine - coarse) & SYSTICK_MASK;
    return coarse + ((behind ^ SYSTICK_UPPER) - SYSTICK_UPPER);
}
