/* RP2350, on its Arm or its RISC-V core: 150 MHz by the PLL from a 12 MHz crystal, UART0, marker
 * pin, cycle counter. Registers: RP2350 datasheet; addresses as in the vendor's pico-sdk,
 * src/rp2350/hardware_regs. */
#define RESETS_BASE   0x40020000u
#define CLOCKS_BASE   0x40010000u
#define XOSC_BASE     0x40048000u
#define PLL_BASE      0x40050000u
#define IO_BANK0_BASE 0x40028000u

#define RESET_IO_BANK0   (1u << 6)
#define RESET_PADS_BANK0 (1u << 9)
#define RESET_PLL_SYS    (1u << 14)
#define RESET_UART0      (1u << 26)

#define SIO_GPIO_OUT_SET REG32(0xD0000018u)
#define SIO_GPIO_OUT_CLR REG32(0xD0000020u)
#define SIO_GPIO_OE_SET  REG32(0xD0000038u)

#define ROSC_HZ      11000000u /* the ring oscillator that the ROM starts on: about */
#define ROSC_DIVIDER 11u

#ifdef __riscv
#include "rp2350/hazard3.h"
#else
#include "rp2350/cortex_m33.h"
#endif
#include "rp2/rp2.h"

#define PAD(pin)      REG32(0x40038004u + 4u * (pin))
#define PAD_ISOLATION (1u << 8) /* set after reset: the pin is cut off */

static void join_pads(void) {
    PAD(EDGEQ_UART_TX_PIN) &= ~PAD_ISOLATION;
    PAD(EDGEQ_UART_RX_PIN) &= ~PAD_ISOLATION;
    PAD(EDGEQ_MARKER_PIN) &= ~PAD_ISOLATION;
}

void hal_init(void) {
    clock = start_clocks();
    (void)out_of_reset(RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_UART0);
    uart_init();
    marker_init();
    join_pads();
    core_cycles_init();
}

uint32_t hal_cycles(void) {
    return core_cycles();
}
