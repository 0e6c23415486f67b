/* Arm MPS2 FPGA image map (AN386 and kin), on QEMU and on edgeq's virtual board: CMSDK UART0. */
#include "board_config.h"
#include "cortex_m/cortex_m.h"
#include "hal.h"

/* Arm Cortex-M System Design Kit TRM (DDI0479), section 4.3 "UART". */
#define UART_DATA     REG32(EDGEQ_UART_BASE + 0x00u)
#define UART_STATE    REG32(EDGEQ_UART_BASE + 0x04u)
#define UART_CTRL     REG32(EDGEQ_UART_BASE + 0x08u)
#define UART_BAUDDIV  REG32(EDGEQ_UART_BASE + 0x10u)
#define STATE_TX_FULL 1u
#define STATE_RX_FULL 2u
#define CTRL_TX_RX_ON 3u

#ifdef EDGEQ_TIMER_BASE
/* DDI0479, APB timer: 32 bits downwards at the core clock. Cores without DWT need it: the
 * 24 bits of SysTick wrap within one large layer. */
#define TIMER_CTRL   REG32(EDGEQ_TIMER_BASE + 0x00u)
#define TIMER_VALUE  REG32(EDGEQ_TIMER_BASE + 0x04u)
#define TIMER_RELOAD REG32(EDGEQ_TIMER_BASE + 0x08u)

static void cycles_init(void) {
    TIMER_RELOAD = 0xFFFFFFFFu;
    TIMER_VALUE = 0xFFFFFFFFu;
    TIMER_CTRL = 1u; /* enabled, no interrupt */
}

static uint32_t cycles(void) {
    return ~TIMER_VALUE;
}
#else
static void cycles_init(void) {
    port_cycles_init();
}

static uint32_t cycles(void) {
    return port_cycles();
}
#endif

void hal_init(void) {
    UART_BAUDDIV = EDGEQ_UART_BAUDDIV;
    UART_CTRL = CTRL_TX_RX_ON;
    cycles_init();
    hal_marker(false);
}

int hal_getc(void) {
    if ((UART_STATE & STATE_RX_FULL) == 0u) {
        return -1;
    }
    return (int)(UART_DATA & 0xFFu);
}

void hal_putc(uint8_t byte) {
    if (port_wait(&UART_STATE, STATE_TX_FULL, 0u)) {
        UART_DATA = byte;
    }
}

/* The divisor counts core cycles, 16 at least (DDI0479, 4.3.3). No flag says that the last byte is
 * out: the buffer's room does, and then its time. */
uint32_t hal_baud_near(uint32_t baud) {
    return baud > EDGEQ_CLOCK_HZ / 16u ? 0u : baud;
}

void hal_set_baud(uint32_t baud) {
    (void)port_wait(&UART_STATE, STATE_TX_FULL, 0u);
    uint32_t start = cycles();
    while (cycles() - start < 10u * UART_BAUDDIV) {
    }
    UART_BAUDDIV = port_quotient(EDGEQ_CLOCK_HZ + baud / 2u, baud);
}

uint32_t hal_cycles(void) {
    return cycles();
}

uint32_t hal_clock_hz(void) {
    return EDGEQ_CLOCK_HZ;
}

/* The marker is user LED 0 of the FPGA system registers (Arm AN386, section 4.2 "FPGA system
 * control"). */
void hal_marker(bool high) {
    REG32(EDGEQ_MARKER_REGISTER) = high ? 1u : 0u;
}

void hal_idle(void) {
}
