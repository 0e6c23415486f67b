/* QEMU's RISC-V machine "virt", and edgeq's virtual board after it: a 16550 and the CLINT's timer.
 */
#include "board_config.h"
#include "hal.h"
#include "riscv/riscv.h"

/* National Semiconductor PC16550D, section 8; registers are bytes one behind another. */
#define UART_DATA    REG8(EDGEQ_UART_BASE + 0u)
#define UART_FCR     REG8(EDGEQ_UART_BASE + 2u)
#define UART_LCR     REG8(EDGEQ_UART_BASE + 3u)
#define UART_LSR     REG8(EDGEQ_UART_BASE + 5u)
#define UART_SCRATCH REG8(EDGEQ_UART_BASE + 7u)
#define FCR_ON_CLEAR 0x07u
#define LCR_8N1      0x03u
#define LSR_RX_READY 0x01u
#define LSR_TX_EMPTY 0x20u
/* The low word of mtime: SiFive FU540-C000 manual, 9.1. */
#define MTIME REG32(EDGEQ_TIMER_REGISTER)

void hal_init(void) {
    UART_LCR = LCR_8N1;
    UART_FCR = FCR_ON_CLEAR;
    hal_marker(false);
}

int hal_getc(void) {
    if ((UART_LSR & LSR_RX_READY) == 0u) {
        return -1;
    }
    return (int)UART_DATA;
}

void hal_putc(uint8_t byte) {
    if (port_wait_8(&UART_LSR, LSR_TX_EMPTY, LSR_TX_EMPTY)) {
        UART_DATA = byte;
    }
}

/* Ticks of mtime: instructions on the virtual board, real time in QEMU. */
uint32_t hal_cycles(void) {
    return MTIME;
}

uint32_t hal_clock_hz(void) {
    return EDGEQ_CLOCK_HZ;
}

/* The machine has no pin: the UART's scratch register, which drives nothing. */
void hal_marker(bool high) {
    UART_SCRATCH = high ? 1u : 0u;
}

void hal_idle(void) {
}
