/* i.MX RT1062 of a Teensy 4.0, on the 24 MHz crystal: PLLs that nobody has seen lock are left out.
 * Serial1 (LPUART6), marker pin, cycle counter. Caches stay off. Registers: i.MX RT1060 Reference
 * Manual, CCM, IOMUXC, GPIO, LPUART; addresses as in PJRC's core, teensy4/imxrt.h. */
#include "board_config.h"
#include "cortex_m/cortex_m.h"
#include "hal.h"

#define CCM_CBCDR              REG32(0x400FC014u)
#define CCM_CBCMR              REG32(0x400FC018u)
#define CCM_CSCDR1             REG32(0x400FC024u)
#define CCM_CDHIPR             REG32(0x400FC048u)
#define CCM_CCGR3              REG32(0x400FC074u)
#define PERIPH_CLK2_PODF_MASK  (7u << 27)
#define PERIPH_CLK_SEL         (1u << 25) /* periph_clk2 instead of what the ROM chose */
#define AHB_PODF_MASK          (7u << 10)
#define PERIPH_CLK2_SEL_MASK   (3u << 12)
#define PERIPH_CLK2_SEL_OSC    (1u << 12)
#define PERIPH2_CLK_SEL_BUSY   (1u << 3)
#define PERIPH_CLK_SEL_BUSY    (1u << 5)
#define UART_CLK_FROM_OSC      (1u << 6)
#define UART_CLK_PODF_MASK     0x3Fu
#define GATES_LPUART6_AND_GPIO ((3u << 6) | (3u << 12))

/* Pin 1 is GPIO_AD_B0_02, pin 0 GPIO_AD_B0_03, pin 2 GPIO_EMC_04. */
#define MUX_TX       REG32(0x401F80C4u)
#define MUX_RX       REG32(0x401F80C8u)
#define MUX_MARKER   REG32(0x401F8024u)
#define SELECT_RX    REG32(0x401F8550u)
#define SELECT_TX    REG32(0x401F8554u)
#define MUX_LPUART6  2u
#define MUX_GPIO     5u
#define SELECT_AD_B0 1u
#define GPIO4_GDIR   REG32(0x401C4004u)
#define GPIO4_SET    REG32(0x401C4084u)
#define GPIO4_CLEAR  REG32(0x401C4088u)
#define MARKER       (1u << 4)

#define UART_BAUD    REG32(EDGEQ_UART_BASE + 0x10u)
#define UART_STAT    REG32(EDGEQ_UART_BASE + 0x14u)
#define UART_CTRL    REG32(EDGEQ_UART_BASE + 0x18u)
#define UART_DATA    REG32(EDGEQ_UART_BASE + 0x1Cu)
#define STAT_TX_FREE (1u << 23)
#define STAT_RX_FULL (1u << 21)
#define STAT_OVERRUN (1u << 19) /* written as one to clear; nothing is received before */
#define CTRL_TX_RX   ((1u << 19) | (1u << 18))

/* Samples a bit: 16 where the divisor has room for them, as few as 5 on fast lines. */
#define SAMPLES         (EDGEQ_UART_BAUD > 500000u ? 5u : 16u)
#define BAUD_DIVISOR    ((EDGEQ_CLOCK_HZ / SAMPLES + EDGEQ_UART_BAUD / 2u) / EDGEQ_UART_BAUD)
#define BAUD_BOTH_EDGES (1u << 17) /* asked for below 8 samples */
#define BAUD_WORD (((SAMPLES - 1u) << 24) | (SAMPLES < 8u ? BAUD_BOTH_EDGES : 0u) | BAUD_DIVISOR)

/* Core and buses from the crystal; the serial flash keeps the clock that the ROM gave it. */
static void start_clocks(void) {
    CCM_CBCDR &= ~PERIPH_CLK2_PODF_MASK;
    CCM_CBCMR = (CCM_CBCMR & ~PERIPH_CLK2_SEL_MASK) | PERIPH_CLK2_SEL_OSC;
    (void)port_wait(&CCM_CDHIPR, PERIPH2_CLK_SEL_BUSY, 0u);
    CCM_CBCDR |= PERIPH_CLK_SEL;
    (void)port_wait(&CCM_CDHIPR, PERIPH_CLK_SEL_BUSY, 0u);
    CCM_CBCDR &= ~AHB_PODF_MASK;
    CCM_CSCDR1 = (CCM_CSCDR1 & ~UART_CLK_PODF_MASK) | UART_CLK_FROM_OSC;
    CCM_CCGR3 |= GATES_LPUART6_AND_GPIO;
}

static void uart_init(void) {
    MUX_TX = MUX_LPUART6;
    MUX_RX = MUX_LPUART6;
    SELECT_TX = SELECT_AD_B0;
    SELECT_RX = SELECT_AD_B0;
    UART_CTRL = 0u;
    UART_BAUD = BAUD_WORD;
    UART_CTRL = CTRL_TX_RX;
}

static void marker_init(void) {
    hal_marker(false);
    MUX_MARKER = MUX_GPIO;
    GPIO4_GDIR |= MARKER;
}

void hal_init(void) {
    start_clocks();
    uart_init();
    marker_init();
    port_cycles_init();
}

int hal_getc(void) {
    uint32_t stat = UART_STAT;
    if ((stat & STAT_OVERRUN) != 0u) {
        UART_STAT = STAT_OVERRUN;
    }
    if ((stat & STAT_RX_FULL) == 0u) {
        return -1;
    }
    return (int)(UART_DATA & 0xFFu);
}

void hal_putc(uint8_t byte) {
    if (port_wait(&UART_STAT, STAT_TX_FREE, STAT_TX_FREE)) {
        UART_DATA = byte;
    }
}

uint32_t hal_cycles(void) {
    return port_cycles();
}

uint32_t hal_clock_hz(void) {
    return EDGEQ_CLOCK_HZ;
}

void hal_marker(bool high) {
    if (high) {
        GPIO4_SET = MARKER;
    } else {
        GPIO4_CLEAR = MARKER;
    }
}

void hal_idle(void) {
}
