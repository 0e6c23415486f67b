/* The USART and LPUART of every STM32 but the oldest families: status and data registers apart.
 * Registers: RM0432, chapters 50 and 51; the same in RM0433 (H7), RM0434 (WB), RM0444, RM0456. */
#ifndef EDGEQ_STM32_USART_V2_H
#define EDGEQ_STM32_USART_V2_H

#include "stm32/stm32.h"

#define USART_CR1 REG32(EDGEQ_UART_BASE + 0x00u)
#define USART_BRR REG32(EDGEQ_UART_BASE + 0x0Cu)
#define USART_ISR REG32(EDGEQ_UART_BASE + 0x1Cu)
#define USART_ICR REG32(EDGEQ_UART_BASE + 0x20u)
#define USART_RDR REG32(EDGEQ_UART_BASE + 0x24u)
#define USART_TDR REG32(EDGEQ_UART_BASE + 0x28u)

#define USART_CR1_ON   ((1u << 3) | (1u << 2) | 1u) /* transmitter, receiver, enable */
#define USART_CR1_FIFO (1u << 29)                   /* eight bytes: fewer overruns */

/* `divisor`: of BRR, in the units of the peripheral. */
static inline void stm32_usart_start(uint32_t divisor) {
    USART_BRR = divisor;
    USART_CR1 = USART_CR1_FIFO;
    USART_CR1 = USART_CR1_FIFO | USART_CR1_ON;
}

/* The same once the last byte is out: the divisor is written while the peripheral is off. */
static inline void stm32_usart_change(uint32_t divisor) {
    (void)port_wait(&USART_ISR, UART_TC, UART_TC);
    USART_CR1 = 0u;
    stm32_usart_start(divisor);
}

/* The next byte, or -1 at once; an overrun is forgotten, or nothing would be received any more. */
static inline int stm32_usart_getc(void) {
    uint32_t status = USART_ISR;
    if ((status & UART_ORE) != 0u) {
        USART_ICR = UART_ORE;
    }
    return (status & UART_RXNE) != 0u ? (int)(USART_RDR & 0xFFu) : -1;
}

#endif
