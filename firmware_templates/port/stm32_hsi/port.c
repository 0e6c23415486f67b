/* Any STM32 with the newer USART, on its internal oscillator HSI: G0, H7, U5, WB.
 * No PLL: a clock tree that nobody has seen run is better short. Where each family keeps its
 * registers stands in the board's file. RM0444 (G0), RM0433 (H7), RM0456 (U5), RM0434 (WB), each
 * in its chapters RCC, FLASH, GPIO and USART. */
#include "hal.h"
#include "stm32/usart_v2.h"

#define RCC_CR         REG32(EDGEQ_RCC_CR_REGISTER)
#define RCC_CFGR       REG32(EDGEQ_RCC_CFGR_REGISTER)
#define RCC_GPIO       REG32(EDGEQ_GPIO_ENABLE_REGISTER)
#define FLASH_ACR      REG32(EDGEQ_FLASH_ACR_REGISTER)
#define HSI_ON         (1u << EDGEQ_HSI_ON_BIT)
#define HSI_READY      (1u << EDGEQ_HSI_READY_BIT)
#define SWITCH_MASK    ((1u << EDGEQ_SWITCH_BITS) - 1u)
#define SWITCH_TO_HSI  EDGEQ_SWITCH_TO_HSI
#define SWITCHED_SHIFT EDGEQ_SWITCHED_SHIFT

/* Wait states before the clock that needs them. Leaves the core on its reset clock whenever a step
 * is not answered. */
static bool start_hsi(void) {
    FLASH_ACR = (FLASH_ACR & ~FLASH_ACR_LATENCY) | EDGEQ_FLASH_WAIT_STATES;
    if (!port_wait(&FLASH_ACR, FLASH_ACR_LATENCY, EDGEQ_FLASH_WAIT_STATES)) {
        return false;
    }
    RCC_CR |= HSI_ON;
    if (!port_wait(&RCC_CR, HSI_READY, HSI_READY)) {
        return false;
    }
    RCC_CFGR = (RCC_CFGR & ~SWITCH_MASK) | SWITCH_TO_HSI;
    return port_wait(&RCC_CFGR, SWITCH_MASK << SWITCHED_SHIFT, SWITCH_TO_HSI << SWITCHED_SHIFT);
}

static uint32_t uart_hz;

static uint32_t baud_divisor(uint32_t baud) {
    return port_quotient(uart_hz + baud / 2u, baud);
}

/* Bus clocks are undivided after reset: the USART has the core's clock. */
static void uart_init(bool on_hsi) {
    REG32(EDGEQ_UART_ENABLE_REGISTER) |= 1u << EDGEQ_UART_ENABLE_BIT;
    (void)REG32(EDGEQ_UART_ENABLE_REGISTER);
    stm32_uart_pins();
    uart_hz = on_hsi ? EDGEQ_CLOCK_HZ : EDGEQ_RESET_CLOCK_HZ;
    stm32_usart_start(baud_divisor(EDGEQ_UART_BAUD));
}

void hal_init(void) {
    bool on_hsi = start_hsi();
    stm32_clock_hz = on_hsi ? EDGEQ_CLOCK_HZ : EDGEQ_RESET_CLOCK_HZ;
    RCC_GPIO |= EDGEQ_GPIO_CLOCKS;
    (void)RCC_GPIO;
    uart_init(on_hsi);
    stm32_marker_init();
    port_cycles_init();
}

/* 16 clocks a bit at least. */
uint32_t hal_baud_near(uint32_t baud) {
    uint32_t divisor = baud_divisor(baud);
    return divisor < 16u ? 0u : port_quotient(uart_hz, divisor);
}

void hal_set_baud(uint32_t baud) {
    stm32_usart_change(baud_divisor(baud));
}

int hal_getc(void) {
    return stm32_usart_getc();
}

void hal_putc(uint8_t byte) {
    stm32_send(&USART_ISR, &USART_TDR, byte);
}
