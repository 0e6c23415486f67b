/* STM32L4+ (L4R5): PLL from HSI16 in boost mode, LPUART1 on port G, marker pin.
 * Registers: RM0432, chapters 3 (FLASH), 5 (PWR), 6 (RCC), 8 (GPIO), 51 (LPUART). */
#include "hal.h"
#include "stm32/usart_v2.h"

#define RCC_CR       REG32(0x40021000u)
#define RCC_CFGR     REG32(0x40021008u)
#define RCC_PLLCFGR  REG32(0x4002100Cu)
#define RCC_AHB2ENR  REG32(0x4002104Cu)
#define RCC_APB1ENR1 REG32(0x40021058u)
#define RCC_APB1ENR2 REG32(0x4002105Cu)
#define RCC_CCIPR    REG32(0x40021088u)
#define FLASH_ACR    REG32(0x40022000u)
#define PWR_CR2      REG32(0x40007004u)
#define PWR_CR5      REG32(0x40007080u)

#define RCC_CR_HSION         (1u << 8)
#define RCC_CR_HSIRDY        (1u << 10)
#define RCC_CR_PLLON         (1u << 24)
#define RCC_CR_PLLRDY        (1u << 25)
#define RCC_PLLCFGR_HSI16    2u
#define RCC_PLLCFGR_REN      (1u << 24)
#define RCC_CFGR_SW_PLL      3u
#define RCC_CFGR_SWS         (3u << 2)
#define RCC_CFGR_SWS_PLL     (3u << 2)
#define RCC_CFGR_HPRE_HALF   (8u << 4)
#define RCC_APB1ENR1_PWREN   (1u << 28)
#define RCC_APB1ENR2_LPUART1 1u
#define CCIPR_LPUART1_MASK   (3u << 10)
#define CCIPR_LPUART1_HSI16  (2u << 10)
#define PWR_CR2_IOSV         (1u << 9)
#define PWR_CR5_R1MODE       (1u << 8)

#define HSI16_HZ         16000000u
#define RESET_CLOCK_HZ   4000000u /* MSI */
#define BOOST_WAIT_LOOPS 1000u    /* far over the 1 us that RM0432 5.1.8 asks for */

/* RM0432 5.1.8: over 80 MHz the bus clock is halved across the switch, then boost mode holds. */
static bool switch_to_pll(void) {
    RCC_CFGR = RCC_CFGR_HPRE_HALF;
    PWR_CR5 &= ~PWR_CR5_R1MODE;
    bool ready = stm32_flash_ready(&FLASH_ACR);
    if (ready) {
        RCC_CFGR = RCC_CFGR_HPRE_HALF | RCC_CFGR_SW_PLL;
        ready = port_wait(&RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL);
    }
    for (volatile uint32_t loop = 0; loop < BOOST_WAIT_LOOPS; ++loop) {
    }
    RCC_CFGR = ready ? RCC_CFGR_SW_PLL : 0u;
    return ready;
}

/* Leaves the core on its reset clock whenever a step is not answered. */
static bool start_pll(void) {
    RCC_APB1ENR1 |= RCC_APB1ENR1_PWREN;
    (void)RCC_APB1ENR1; /* the peripheral's clock needs two cycles before its registers */
    RCC_CR |= RCC_CR_HSION;
    if (!port_wait(&RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY)) {
        return false;
    }
    RCC_PLLCFGR = RCC_PLLCFGR_HSI16 | ((EDGEQ_PLL_M - 1u) << 4) | (EDGEQ_PLL_N << 8) |
                  ((EDGEQ_PLL_R / 2u - 1u) << 25) | RCC_PLLCFGR_REN;
    RCC_CR |= RCC_CR_PLLON;
    if (!port_wait(&RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY)) {
        return false;
    }
    return switch_to_pll();
}

/* In 256ths; 256 * HSI16_HZ fits 32 bits. */
static uint32_t baud_divisor(uint32_t baud) {
    return (256u * HSI16_HZ + baud / 2u) / baud;
}

/* Clocked by HSI16, so the baud rate is right whether or not the PLL came up. */
static void uart_init(void) {
    PWR_CR2 |= PWR_CR2_IOSV; /* pins PG2 to PG15 hang on VddIO2 (RM0432 5.1.3) */
    RCC_CCIPR = (RCC_CCIPR & ~CCIPR_LPUART1_MASK) | CCIPR_LPUART1_HSI16;
    RCC_APB1ENR2 |= RCC_APB1ENR2_LPUART1;
    (void)RCC_APB1ENR2;
    stm32_uart_pins();
    stm32_usart_start(baud_divisor(EDGEQ_UART_BAUD));
}

void hal_init(void) {
    stm32_clock_hz = start_pll() ? EDGEQ_CLOCK_HZ : RESET_CLOCK_HZ;
    RCC_AHB2ENR |= EDGEQ_GPIO_CLOCKS;
    (void)RCC_AHB2ENR;
    uart_init();
    stm32_marker_init();
    port_cycles_init();
}

/* 3 to 4096 clocks a bit (RM0432, 51.4.7). */
uint32_t hal_baud_near(uint32_t baud) {
    uint32_t divisor = baud_divisor(baud);
    return divisor < 0x300u ? 0u : 256u * HSI16_HZ / divisor;
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
