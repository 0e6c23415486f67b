/* nRF5340's application core: 64 MHz, UARTE0 with one-byte transfers, marker pin.
 * Registers: nRF5340 Product Specification v1.3, chapters CACHE, CLOCK, GPIO and UARTE, at their
 * secure addresses, in which the core starts. An event register reads 1 once the event has come. */
#include "board_config.h"
#include "cortex_m/cortex_m.h"
#include "hal.h"

#define CLOCK_TASKS_HFCLKSTART    REG32(0x50005000u)
#define CLOCK_EVENTS_HFCLKSTARTED REG32(0x50005100u)
#define CACHE_ENABLE              REG32(0x50001500u)

#define GPIO_BASE(pin)    ((pin) < 32u ? 0x50842500u : 0x50842800u)
#define GPIO_PIN(pin)     ((pin) & 31u)
#define GPIO_OUTSET(pin)  REG32(GPIO_BASE(pin) + 0x008u)
#define GPIO_OUTCLR(pin)  REG32(GPIO_BASE(pin) + 0x00Cu)
#define GPIO_PIN_CNF(pin) REG32(GPIO_BASE(pin) + 0x200u + 4u * GPIO_PIN(pin))
#define GPIO_LEVEL(pin)   (1u << GPIO_PIN(pin))
#define GPIO_OUTPUT       3u /* driven, input buffer off, the application core's */
#define GPIO_INPUT        0u

#define UARTE_TASKS_STARTRX REG32(EDGEQ_UART_BASE + 0x000u)
#define UARTE_TASKS_STARTTX REG32(EDGEQ_UART_BASE + 0x008u)
#define UARTE_EVENTS_ENDRX  REG32(EDGEQ_UART_BASE + 0x110u)
#define UARTE_EVENTS_ENDTX  REG32(EDGEQ_UART_BASE + 0x120u)
#define UARTE_ENABLE        REG32(EDGEQ_UART_BASE + 0x500u)
#define UARTE_PSEL_TXD      REG32(EDGEQ_UART_BASE + 0x50Cu)
#define UARTE_PSEL_RXD      REG32(EDGEQ_UART_BASE + 0x514u)
#define UARTE_BAUDRATE      REG32(EDGEQ_UART_BASE + 0x524u)
#define UARTE_RXD_PTR       REG32(EDGEQ_UART_BASE + 0x534u)
#define UARTE_RXD_MAXCNT    REG32(EDGEQ_UART_BASE + 0x538u)
#define UARTE_TXD_PTR       REG32(EDGEQ_UART_BASE + 0x544u)
#define UARTE_TXD_MAXCNT    REG32(EDGEQ_UART_BASE + 0x548u)
#define UARTE_ENABLE_UARTE  8u
#define UARTE_CLOCK         16000000u

/* Read and written by DMA. */
static volatile uint8_t received, sent;
static bool sending;

/* BAUDRATE is baud / 16 MHz in Q32, of which the upper 20 bits count. */
static uint32_t baud_rate(void) {
    uint64_t q32 = ((uint64_t)EDGEQ_UART_BAUD << 32) / UARTE_CLOCK;
    return ((uint32_t)q32 + 0x800u) & 0xFFFFF000u;
}

/* The core runs at 64 MHz either way; unanswered, it stays on the RC oscillator. */
static void start_crystal(void) {
    CLOCK_EVENTS_HFCLKSTARTED = 0u;
    CLOCK_TASKS_HFCLKSTART = 1u;
    (void)port_wait(&CLOCK_EVENTS_HFCLKSTARTED, 1u, 1u);
}

static void uart_init(void) {
    GPIO_OUTSET(EDGEQ_UART_TX_PIN) = GPIO_LEVEL(EDGEQ_UART_TX_PIN); /* idle level */
    GPIO_PIN_CNF(EDGEQ_UART_TX_PIN) = GPIO_OUTPUT;
    GPIO_PIN_CNF(EDGEQ_UART_RX_PIN) = GPIO_INPUT;
    UARTE_PSEL_TXD = EDGEQ_UART_TX_PIN;
    UARTE_PSEL_RXD = EDGEQ_UART_RX_PIN;
    UARTE_BAUDRATE = baud_rate();
    UARTE_ENABLE = UARTE_ENABLE_UARTE;
    UARTE_RXD_PTR = (uint32_t)(uintptr_t)&received;
    UARTE_RXD_MAXCNT = 1u;
    UARTE_TXD_PTR = (uint32_t)(uintptr_t)&sent;
    UARTE_TXD_MAXCNT = 1u;
    UARTE_EVENTS_ENDRX = 0u;
    UARTE_TASKS_STARTRX = 1u;
}

void hal_init(void) {
    start_crystal();
    CACHE_ENABLE = 1u;
    uart_init();
    GPIO_PIN_CNF(EDGEQ_MARKER_PIN) = GPIO_OUTPUT;
    hal_marker(false);
    port_cycles_init();
}

/* Until the next transfer is started the receiver's FIFO keeps what comes. */
int hal_getc(void) {
    if (UARTE_EVENTS_ENDRX == 0u) {
        return -1;
    }
    int byte = (int)received;
    UARTE_EVENTS_ENDRX = 0u;
    UARTE_TASKS_STARTRX = 1u;
    return byte;
}

void hal_putc(uint8_t byte) {
    if (!sending || port_wait(&UARTE_EVENTS_ENDTX, 1u, 1u)) {
        UARTE_EVENTS_ENDTX = 0u;
        sent = byte;
        UARTE_TASKS_STARTTX = 1u;
        sending = true;
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
        GPIO_OUTSET(EDGEQ_MARKER_PIN) = GPIO_LEVEL(EDGEQ_MARKER_PIN);
    } else {
        GPIO_OUTCLR(EDGEQ_MARKER_PIN) = GPIO_LEVEL(EDGEQ_MARKER_PIN);
    }
}

void hal_idle(void) {
}
