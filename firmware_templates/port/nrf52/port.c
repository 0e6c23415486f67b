/* nRF52840, nRF52833: 64 MHz from the crystal, UART0 without DMA, marker pin.
 * Registers: nRF52840 Product Specification v1.7, 4.3.4 (NVMC), 5.4 (CLOCK), 6.9 (GPIO),
 * 6.33 (UART). A peripheral's event registers read 1 once the event has come, and stay so. */
#include "board_config.h"
#include "cortex_m/cortex_m.h"
#include "hal.h"

#define CLOCK_TASKS_HFCLKSTART    REG32(0x40000000u)
#define CLOCK_EVENTS_HFCLKSTARTED REG32(0x40000100u)
#define NVMC_ICACHECNF            REG32(0x4001E540u)

/* A pin is numbered as PSEL has it: its port is bit 5. */
#define GPIO_BASE(pin)          ((pin) < 32u ? 0x50000000u : 0x50000300u)
#define GPIO_PIN(pin)           ((pin) & 31u)
#define GPIO_OUTSET(base)       REG32((base) + 0x508u)
#define GPIO_OUTCLR(base)       REG32((base) + 0x50Cu)
#define GPIO_PIN_CNF(base, pin) REG32((base) + 0x700u + 4u * (pin))
#define GPIO_OUTPUT             3u /* driven, input buffer off */
#define GPIO_INPUT              0u

#define UART_TASKS_STARTRX REG32(EDGEQ_UART_BASE + 0x000u)
#define UART_TASKS_STARTTX REG32(EDGEQ_UART_BASE + 0x008u)
#define UART_EVENTS_RXDRDY REG32(EDGEQ_UART_BASE + 0x108u)
#define UART_EVENTS_TXDRDY REG32(EDGEQ_UART_BASE + 0x11Cu)
#define UART_ENABLE        REG32(EDGEQ_UART_BASE + 0x500u)
#define UART_PSEL_TXD      REG32(EDGEQ_UART_BASE + 0x50Cu)
#define UART_PSEL_RXD      REG32(EDGEQ_UART_BASE + 0x514u)
#define UART_RXD           REG32(EDGEQ_UART_BASE + 0x518u)
#define UART_TXD           REG32(EDGEQ_UART_BASE + 0x51Cu)
#define UART_BAUDRATE      REG32(EDGEQ_UART_BASE + 0x524u)
#define UART_CONFIG        REG32(EDGEQ_UART_BASE + 0x56Cu)
#define UART_ENABLE_UART   4u
#define UART_CONFIG_8N1    0u
#define UART_BAUDRATE_STEP 1125899907u /* 2^54 over 16 MHz */

static bool sending; /* a byte is on its way: TXDRDY will tell */

/* BAUDRATE is baud / 16 MHz in Q32, of which the upper 20 bits count (table in 6.33.10). */
static uint32_t baud_rate(uint32_t baud) {
    uint32_t q32 = (uint32_t)(((uint64_t)baud * UART_BAUDRATE_STEP) >> 22);
    return (q32 + 0x800u) & 0xFFFFF000u;
}

/* The core runs at 64 MHz either way; unanswered, it stays on the RC oscillator, whose
 * tolerance a UART bears less well (5.4.1). */
static void start_crystal(void) {
    CLOCK_EVENTS_HFCLKSTARTED = 0u;
    CLOCK_TASKS_HFCLKSTART = 1u;
    (void)port_wait(&CLOCK_EVENTS_HFCLKSTARTED, 1u, 1u);
}

static void uart_init(void) {
    const uint32_t tx = EDGEQ_UART_TX_PIN, rx = EDGEQ_UART_RX_PIN;
    GPIO_OUTSET(GPIO_BASE(tx)) = 1u << GPIO_PIN(tx); /* idle level */
    GPIO_PIN_CNF(GPIO_BASE(tx), GPIO_PIN(tx)) = GPIO_OUTPUT;
    GPIO_PIN_CNF(GPIO_BASE(rx), GPIO_PIN(rx)) = GPIO_INPUT;
    UART_PSEL_TXD = EDGEQ_UART_TX_PIN;
    UART_PSEL_RXD = EDGEQ_UART_RX_PIN;
    UART_BAUDRATE = baud_rate(EDGEQ_UART_BAUD);
    UART_CONFIG = UART_CONFIG_8N1;
    UART_ENABLE = UART_ENABLE_UART;
    UART_EVENTS_RXDRDY = 0u;
    UART_EVENTS_TXDRDY = 0u;
    UART_TASKS_STARTTX = 1u;
    UART_TASKS_STARTRX = 1u;
}

void hal_init(void) {
    start_crystal();
    NVMC_ICACHECNF = 1u;
    uart_init();
    GPIO_PIN_CNF(EDGEQ_MARKER_GPIO_BASE, EDGEQ_MARKER_PIN) = GPIO_OUTPUT;
    hal_marker(false);
    port_cycles_init();
}

/* The event goes first: it comes again at once if the six-byte FIFO holds more (6.33.4). */
int hal_getc(void) {
    if (UART_EVENTS_RXDRDY == 0u) {
        return -1;
    }
    UART_EVENTS_RXDRDY = 0u;
    return (int)(UART_RXD & 0xFFu);
}

void hal_putc(uint8_t byte) {
    if (!sending || port_wait(&UART_EVENTS_TXDRDY, 1u, 1u)) {
        UART_EVENTS_TXDRDY = 0u;
        UART_TXD = byte;
        sending = true;
    }
}

/* Up to 1 Mbaud (6.33.10). */
uint32_t hal_baud_near(uint32_t baud) {
    return baud > 1000000u ? 0u : baud;
}

/* TXDRDY comes when the last byte is out. */
void hal_set_baud(uint32_t baud) {
    if (sending) {
        (void)port_wait(&UART_EVENTS_TXDRDY, 1u, 1u);
    }
    UART_BAUDRATE = baud_rate(baud);
}

uint32_t hal_cycles(void) {
    return port_cycles();
}

uint32_t hal_clock_hz(void) {
    return EDGEQ_CLOCK_HZ;
}

void hal_marker(bool high) {
    if (high) {
        GPIO_OUTSET(EDGEQ_MARKER_GPIO_BASE) = 1u << EDGEQ_MARKER_PIN;
    } else {
        GPIO_OUTCLR(EDGEQ_MARKER_GPIO_BASE) = 1u << EDGEQ_MARKER_PIN;
    }
}

void hal_idle(void) {
}
