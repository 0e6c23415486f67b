/* What the ports of RP2040 and RP2350 share: crystal and PLL, UART0, the marker. Each port names
 * its registers' bases before it includes this. Registers: RP2040 datasheet, 2.14 (RESETS), 2.15
 * (CLOCKS), 2.16 (XOSC), 2.18 (PLL), 2.19 (GPIO), 4.2 (UART); the same offsets in the RP2350's. */
#ifndef EDGEQ_RP2_H
#define EDGEQ_RP2_H

#include "board_config.h"
#include "hal.h"
#include "registers.h"

#define RESETS_RESET      REG32(RESETS_BASE + 0x00u)
#define RESETS_RESET_DONE REG32(RESETS_BASE + 0x08u)

#define CLK_REF_CTRL       REG32(CLOCKS_BASE + 0x30u)
#define CLK_REF_SELECTED   REG32(CLOCKS_BASE + 0x38u)
#define CLK_SYS_CTRL       REG32(CLOCKS_BASE + 0x3Cu)
#define CLK_SYS_SELECTED   REG32(CLOCKS_BASE + 0x44u)
#define CLK_PERI_CTRL      REG32(CLOCKS_BASE + 0x48u)
#define CLK_REF_SRC_XOSC   2u
#define CLK_SYS_SRC_AUX    1u /* whose source is, after reset, the system PLL */
#define CLK_PERI_ON        (1u << 11)
#define SELECTED(source)   (1u << (source))
#define SELECTED_ANY(bits) ((1u << (bits)) - 1u)

#define XOSC_CTRL      REG32(XOSC_BASE + 0x00u)
#define XOSC_STATUS    REG32(XOSC_BASE + 0x04u)
#define XOSC_STARTUP   REG32(XOSC_BASE + 0x0Cu)
#define XOSC_RANGE     0xAA0u
#define XOSC_ENABLE    (0xFABu << 12)
#define XOSC_STABLE    (1u << 31)
#define XOSC_DELAY_1MS ((EDGEQ_CRYSTAL_HZ / 1000u + 128u) / 256u)

#define PLL_CS             REG32(PLL_BASE + 0x00u)
#define PLL_PWR            REG32(PLL_BASE + 0x04u)
#define PLL_FBDIV_INT      REG32(PLL_BASE + 0x08u)
#define PLL_PRIM           REG32(PLL_BASE + 0x0Cu)
#define PLL_CS_LOCK        (1u << 31)
#define PLL_PWR_ALL_OFF    0x2Du
#define PLL_PWR_DSMPD      (1u << 2) /* no fraction: stays off */
#define PLL_PWR_POSTDIV_PD (1u << 3)

#define GPIO_CTRL(pin) REG32(IO_BANK0_BASE + 0x04u + 8u * (pin))
#define FUNCTION_UART  2u
#define FUNCTION_SIO   5u

#define UART_DR          REG32(EDGEQ_UART_BASE + 0x00u)
#define UART_FR          REG32(EDGEQ_UART_BASE + 0x18u)
#define UART_IBRD        REG32(EDGEQ_UART_BASE + 0x24u)
#define UART_FBRD        REG32(EDGEQ_UART_BASE + 0x28u)
#define UART_LCR_H       REG32(EDGEQ_UART_BASE + 0x2Cu)
#define UART_CR          REG32(EDGEQ_UART_BASE + 0x30u)
#define UART_FR_RX_EMPTY (1u << 4)
#define UART_FR_TX_FULL  (1u << 5)
#define UART_8N1_FIFO    0x70u
#define UART_ON          0x301u

#define HZ_PER_MHZ 1000000u

/* Baud divisor times 64, of UART clocks over 16 baud (4.2.7.1). */
#define BAUD_DIVISOR(clock_hz) ((4u * (clock_hz) + EDGEQ_UART_BAUD / 2u) / EDGEQ_UART_BAUD)

typedef struct {
    uint32_t hz;
    uint32_t baud_divisor;
    uint32_t tick_divider;    /* reference clocks a tick of the timer */
    uint32_t cycles_per_tick; /* core cycles in that time */
} clock_t;

static const clock_t ON_PLL = {EDGEQ_CLOCK_HZ, BAUD_DIVISOR(EDGEQ_CLOCK_HZ),
                               EDGEQ_CRYSTAL_HZ / HZ_PER_MHZ, EDGEQ_CLOCK_HZ / HZ_PER_MHZ};
static const clock_t ON_CRYSTAL = {EDGEQ_CRYSTAL_HZ, BAUD_DIVISOR(EDGEQ_CRYSTAL_HZ),
                                   EDGEQ_CRYSTAL_HZ / HZ_PER_MHZ, EDGEQ_CRYSTAL_HZ / HZ_PER_MHZ};
static const clock_t ON_ROSC = {ROSC_HZ, BAUD_DIVISOR(ROSC_HZ), ROSC_DIVIDER, ROSC_DIVIDER};

static const clock_t *clock = &ON_ROSC;

static bool out_of_reset(uint32_t blocks) {
    RESETS_RESET &= ~blocks;
    return port_wait(&RESETS_RESET_DONE, blocks, blocks);
}

/* The reference clock from the crystal; on a debugger's restart the core may still be on the PLL,
 * which is about to stop, so it goes first. */
static bool start_crystal(void) {
    CLK_SYS_CTRL = 0u;
    if (!port_wait(&CLK_SYS_SELECTED, SELECTED_ANY(2), SELECTED(0u))) {
        return false;
    }
    XOSC_CTRL = XOSC_RANGE;
    XOSC_STARTUP = XOSC_DELAY_1MS;
    XOSC_CTRL = XOSC_RANGE | XOSC_ENABLE;
    if (!port_wait(&XOSC_STATUS, XOSC_STABLE, XOSC_STABLE)) {
        return false;
    }
    CLK_REF_CTRL = CLK_REF_SRC_XOSC;
    return port_wait(&CLK_REF_SELECTED, SELECTED_ANY(4), SELECTED(CLK_REF_SRC_XOSC));
}

/* The order of 2.18.4.1: divider, power, lock, post dividers. */
static bool start_pll(void) {
    RESETS_RESET |= RESET_PLL_SYS;
    if (!out_of_reset(RESET_PLL_SYS)) {
        return false;
    }
    PLL_CS = EDGEQ_PLL_REFDIV;
    PLL_FBDIV_INT = EDGEQ_PLL_FBDIV;
    PLL_PWR = PLL_PWR_DSMPD | PLL_PWR_POSTDIV_PD;
    if (!port_wait(&PLL_CS, PLL_CS_LOCK, PLL_CS_LOCK)) {
        return false;
    }
    PLL_PRIM = (EDGEQ_PLL_POSTDIV1 << 16) | (EDGEQ_PLL_POSTDIV2 << 12);
    PLL_PWR = PLL_PWR_DSMPD;
    CLK_SYS_CTRL = CLK_SYS_SRC_AUX;
    return port_wait(&CLK_SYS_SELECTED, SELECTED_ANY(2), SELECTED(CLK_SYS_SRC_AUX));
}

/* Goes as far as the oscillators answer. */
static const clock_t *start_clocks(void) {
    if (!start_crystal()) {
        return &ON_ROSC;
    }
    if (!start_pll()) {
        CLK_SYS_CTRL = 0u;
        return &ON_CRYSTAL;
    }
    return &ON_PLL;
}

static void uart_init(void) {
    CLK_PERI_CTRL = CLK_PERI_ON; /* from the system clock */
    GPIO_CTRL(EDGEQ_UART_TX_PIN) = FUNCTION_UART;
    GPIO_CTRL(EDGEQ_UART_RX_PIN) = FUNCTION_UART;
    UART_IBRD = clock->baud_divisor >> 6;
    UART_FBRD = clock->baud_divisor & 63u;
    UART_LCR_H = UART_8N1_FIFO; /* its write takes over the divisors */
    UART_CR = UART_ON;
}

static void marker_init(void) {
    GPIO_CTRL(EDGEQ_MARKER_PIN) = FUNCTION_SIO;
    SIO_GPIO_OE_SET = 1u << EDGEQ_MARKER_PIN;
    hal_marker(false);
}

int hal_getc(void) {
    if ((UART_FR & UART_FR_RX_EMPTY) != 0u) {
        return -1;
    }
    return (int)(UART_DR & 0xFFu);
}

void hal_putc(uint8_t byte) {
    if (port_wait(&UART_FR, UART_FR_TX_FULL, 0u)) {
        UART_DR = byte;
    }
}

uint32_t hal_clock_hz(void) {
    return clock->hz;
}

void hal_marker(bool high) {
    if (high) {
        SIO_GPIO_OUT_SET = 1u << EDGEQ_MARKER_PIN;
    } else {
        SIO_GPIO_OUT_CLR = 1u << EDGEQ_MARKER_PIN;
    }
}

void hal_idle(void) {
}

#endif
