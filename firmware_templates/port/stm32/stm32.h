/* What the ports of STM32F4 and L4+ share: flash set-up, pins, sending, the marker.
 * Registers: RM0390 and RM0432, chapters FLASH, GPIO and USART; their layout is the same. */
#ifndef EDGEQ_STM32_H
#define EDGEQ_STM32_H

#include "board_config.h"
#include "cortex_m/cortex_m.h"

#define FLASH_ACR_CACHES  (7u << 8) /* prefetch, instruction and data cache */
#define FLASH_ACR_LATENCY 15u

#define GPIO_MODER(base) REG32((base) + 0x00u)
#define GPIO_SPEED(base) REG32((base) + 0x08u)
#define GPIO_BSRR(base)  REG32((base) + 0x18u)
#define GPIO_AFRL(base)  REG32((base) + 0x20u)
#define GPIO_AFRH(base)  REG32((base) + 0x24u)

/* What the core runs on: set by hal_init of the family, told by hal_clock_hz. */
extern uint32_t stm32_clock_hz;

/* Of the status register, in both versions of the peripheral. */
#define UART_ORE  (1u << 3)
#define UART_RXNE (1u << 5)
#define UART_TC   (1u << 6)
#define UART_TXE  (1u << 7)

#define PIN_OUTPUT    1u
#define PIN_ALTERNATE 2u

/* Caches on, and the wait states of the clock that is to come; false if the flash never says so. */
static inline bool stm32_flash_ready(volatile uint32_t *acr) {
    *acr = FLASH_ACR_CACHES | EDGEQ_FLASH_WAIT_STATES;
    return port_wait(acr, FLASH_ACR_LATENCY, EDGEQ_FLASH_WAIT_STATES);
}

static inline void stm32_pin_mode(uint32_t base, uint32_t pin, uint32_t mode) {
    GPIO_MODER(base) = (GPIO_MODER(base) & ~(3u << (2u * pin))) | (mode << (2u * pin));
    GPIO_SPEED(base) |= 2u << (2u * pin);
}

static inline void stm32_pin_alternate(uint32_t base, uint32_t pin, uint32_t function) {
    volatile uint32_t *half = pin < 8u ? &GPIO_AFRL(base) : &GPIO_AFRH(base);
    uint32_t shift = 4u * (pin & 7u);
    *half = (*half & ~(15u << shift)) | (function << shift);
    stm32_pin_mode(base, pin, PIN_ALTERNATE);
}

static inline void stm32_uart_pins(void) {
    stm32_pin_alternate(EDGEQ_UART_GPIO_BASE, EDGEQ_UART_TX_PIN, EDGEQ_UART_FUNCTION);
    stm32_pin_alternate(EDGEQ_UART_GPIO_BASE, EDGEQ_UART_RX_PIN, EDGEQ_UART_FUNCTION);
}

/* A transmitter that never frees loses the byte and hangs nothing. */
static inline void stm32_send(const volatile uint32_t *status, volatile uint32_t *data,
                              uint8_t byte) {
    if (port_wait(status, UART_TXE, UART_TXE)) {
        *data = byte;
    }
}

/* The lower half of BSRR sets a pin, the upper half clears it. */
static inline void stm32_marker(bool high) {
    GPIO_BSRR(EDGEQ_MARKER_GPIO_BASE) = 1u << (EDGEQ_MARKER_PIN + (high ? 0u : 16u));
}

static inline void stm32_marker_init(void) {
    stm32_pin_mode(EDGEQ_MARKER_GPIO_BASE, EDGEQ_MARKER_PIN, PIN_OUTPUT);
    stm32_marker(false);
}

#endif
