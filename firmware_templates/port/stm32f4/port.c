/* STM32F401, F405, F446: PLL from the internal oscillator, one USART, marker pin.
 * Registers: RM0390 (F446), RM0368 (F401), RM0090 (F405); their layout is the same here. */
#include "hal.h"
#include "stm32/stm32.h"

#define RCC_CR      REG32(0x40023800u)
#define RCC_PLLCFGR REG32(0x40023804u)
#define RCC_CFGR    REG32(0x40023808u)
#define RCC_AHB1ENR REG32(0x40023830u)
#define RCC_APB1ENR REG32(0x40023840u)
#define FLASH_ACR   REG32(0x40023C00u)
#define PWR_CR      REG32(0x40007000u)
#define PWR_CSR     REG32(0x40007004u)

#define RCC_CR_PLLON       (1u << 24)
#define RCC_CR_PLLRDY      (1u << 25)
#define RCC_CFGR_SW_PLL    2u
#define RCC_CFGR_SWS       (3u << 2)
#define RCC_CFGR_SWS_PLL   (2u << 2)
#define RCC_APB1ENR_PWREN  (1u << 28)
#define PWR_CR_VOS_SHIFT   14
#define PWR_OVERDRIVE      (1u << 16)
#define PWR_OVERDRIVE_USED (1u << 17)

#define USART_SR     REG32(EDGEQ_UART_BASE + 0x00u)
#define USART_DR     REG32(EDGEQ_UART_BASE + 0x04u)
#define USART_BRR    REG32(EDGEQ_UART_BASE + 0x08u)
#define USART_CR1    REG32(EDGEQ_UART_BASE + 0x0Cu)
#define USART_CR1_ON ((1u << 13) | (1u << 3) | (1u << 2)) /* USART, transmitter, receiver */

#define RESET_CLOCK_HZ 16000000u /* HSI */

/* Above 168 MHz the F446 wants its regulator in over-drive (RM0390, 5.1.4). */
static bool start_overdrive(void) {
    PWR_CR |= PWR_OVERDRIVE;
    if (!port_wait(&PWR_CSR, PWR_OVERDRIVE, PWR_OVERDRIVE)) {
        return false;
    }
    PWR_CR |= PWR_OVERDRIVE_USED;
    return port_wait(&PWR_CSR, PWR_OVERDRIVE_USED, PWR_OVERDRIVE_USED);
}

/* Leaves the core on its reset clock whenever a step is not answered. */
static bool start_pll(void) {
    RCC_APB1ENR |= RCC_APB1ENR_PWREN;
    (void)RCC_APB1ENR; /* the peripheral's clock needs two cycles before its registers */
    PWR_CR |= (uint32_t)EDGEQ_REGULATOR_SCALE << PWR_CR_VOS_SHIFT;
    RCC_PLLCFGR = EDGEQ_PLL_M | (EDGEQ_PLL_N << 6) | ((EDGEQ_PLL_P / 2u - 1u) << 16) |
                  (EDGEQ_PLL_Q << 24); /* bit 22 clear: from HSI */
    RCC_CR |= RCC_CR_PLLON;
    if (!port_wait(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY)) {
        return false;
    }
    if (EDGEQ_OVERDRIVE != 0u && !start_overdrive()) {
        return false;
    }
    if (!stm32_flash_ready(&FLASH_ACR)) {
        return false;
    }
    RCC_CFGR = (EDGEQ_APB1_PRESCALER << 10) | (EDGEQ_APB2_PRESCALER << 13) | RCC_CFGR_SW_PLL;
    if (!port_wait(&RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL)) {
        RCC_CFGR = 0u;
        return false;
    }
    return true;
}

static uint32_t uart_hz;

static uint32_t baud_divisor(uint32_t baud) {
    return (uart_hz + baud / 2u) / baud;
}

static void uart_init(bool full_speed) {
    REG32(EDGEQ_UART_ENABLE_REGISTER) |= 1u << EDGEQ_UART_ENABLE_BIT;
    stm32_uart_pins();
    uart_hz = full_speed ? EDGEQ_UART_CLOCK_HZ : RESET_CLOCK_HZ;
    USART_BRR = baud_divisor(EDGEQ_UART_BAUD);
    USART_CR1 = USART_CR1_ON;
}

void hal_init(void) {
    bool full_speed = start_pll();
    stm32_clock_hz = full_speed ? EDGEQ_CLOCK_HZ : RESET_CLOCK_HZ;
    RCC_AHB1ENR |= EDGEQ_GPIO_CLOCKS;
    (void)RCC_AHB1ENR;
    uart_init(full_speed);
    stm32_marker_init();
    port_cycles_init();
}

/* 16 clocks a bit at least (RM0390, 25.4.4). */
uint32_t hal_baud_near(uint32_t baud) {
    uint32_t divisor = baud_divisor(baud);
    return divisor < 16u ? 0u : uart_hz / divisor;
}

void hal_set_baud(uint32_t baud) {
    (void)port_wait(&USART_SR, UART_TC, UART_TC);
    USART_CR1 = 0u;
    USART_BRR = baud_divisor(baud);
    USART_CR1 = USART_CR1_ON;
}

int hal_getc(void) {
    uint32_t status = USART_SR;
    if ((status & (UART_RXNE | UART_ORE)) == 0u) {
        return -1;
    }
    uint32_t byte = USART_DR & 0xFFu; /* this read also clears an overrun */
    return (status & UART_RXNE) != 0u ? (int)byte : -1;
}

void hal_putc(uint8_t byte) {
    stm32_send(&USART_SR, &USART_DR, byte);
}
