/* ESP32-C3 by direct boot: no second boot loader, code and constants read from flash, the core on
 * the 40 MHz crystal that the ROM leaves it on divided by two. Nobody has seen this PLL lock, so it
 * is left out. UART0, the custom cycle counter.
 * Registers: ESP32-C3 TRM; addresses as in esp-idf, components/soc/esp32c3/register/soc. */
#include "board_config.h"
#include "hal.h"
#include "riscv/riscv.h"

/* github.com/espressif/esp32c3-direct-boot-example, README: the ROM maps 4 MB of flash and jumps
 * behind the magic number, which it wants twice at the beginning. */
__asm__(".pushsection .boot_header, \"ax\"\n"
        ".word 0xaedb041d, 0xaedb041d\n"
        "j Reset_Handler\n"
        ".popsection\n");

/* system_reg.h, SYSTEM_SYSCLK_CONF: clock source (0: crystal) and its divider less one. */
#define SYSCLK_CONF         REG32(0x600C0058u)
#define SYSCLK_CRYSTAL_MASK 0xFFFu

/* timer_group_reg.h and rtc_cntl_reg.h: each watchdog opens by its key. */
#define TIMG0_WDT_CONFIG  REG32(0x6001F048u)
#define TIMG0_WDT_PROTECT REG32(0x6001F064u)
#define RTC_WDT_CONFIG    REG32(0x60008090u)
#define RTC_WDT_PROTECT   REG32(0x600080A8u)
#define RTC_SWD_CONFIG    REG32(0x600080ACu)
#define RTC_SWD_PROTECT   REG32(0x600080B0u)
#define WDT_KEY           0x50D83AA1u
#define SWD_KEY           0x8F1D312Au
#define WDT_TAKE_OVER     (1u << 22)
#define SWD_FEEDS_ITSELF  (1u << 31)

/* uart_reg.h, uart_struct.h */
#define UART_FIFO       REG32(EDGEQ_UART_BASE + 0x00u)
#define UART_CLKDIV     REG32(EDGEQ_UART_BASE + 0x14u)
#define UART_STATUS     REG32(EDGEQ_UART_BASE + 0x1Cu)
#define UART_CONF0      REG32(EDGEQ_UART_BASE + 0x20u)
#define UART_CLK_CONF   REG32(EDGEQ_UART_BASE + 0x78u)
#define STATUS_RX_COUNT 0x3FFu
#define STATUS_TX_FULL  (128u << 16) /* the count of bytes that wait, of 128 */
#define CONF0_FRAME     0x3Fu
#define CONF0_8N1       0x1Cu
#define CLK_MASK        0xFFFFFFu
#define CLK_CRYSTAL_ON  ((3u << 20) | (1u << 22)) /* sources XTAL, enabled */

/* The 12 bits of the divisor before its sixteenths are too few for slow lines: a divider first. */
#define UART_PRE_DIVIDER (EDGEQ_CLOCK_HZ / EDGEQ_UART_BAUD / 4095u + 1u)
#define UART_SIXTEENTHS                                                                            \
    (((EDGEQ_CLOCK_HZ << 4) / UART_PRE_DIVIDER + EDGEQ_UART_BAUD / 2u) / EDGEQ_UART_BAUD)

/* io_mux_reg.h, gpio_reg.h */
#define IO_MUX(pin)          REG32(0x60009004u + 4u * (pin))
#define IO_MUX_FUNCTION_MASK (7u << 12)
#define IO_MUX_GPIO          (1u << 12)
#define IO_MUX_INPUT_ENABLE  (1u << 9)
#define GPIO_OUT_SET         REG32(0x60004008u)
#define GPIO_OUT_CLEAR       REG32(0x6000400Cu)
#define GPIO_ENABLE_SET      REG32(0x60004024u)
#define GPIO_OUT_SEL(pin)    REG32(0x60004554u + 4u * (pin))
#define OUT_SEL_PLAIN        128u

/* The ROM leaves all three running, as a guard of the boot. */
static void stop_watchdogs(void) {
    RTC_WDT_PROTECT = WDT_KEY;
    RTC_WDT_CONFIG = 0u;
    RTC_WDT_PROTECT = 0u;
    RTC_SWD_PROTECT = SWD_KEY;
    RTC_SWD_CONFIG |= SWD_FEEDS_ITSELF;
    RTC_SWD_PROTECT = 0u;
    TIMG0_WDT_PROTECT = WDT_KEY;
    TIMG0_WDT_CONFIG = WDT_TAKE_OVER;
    TIMG0_WDT_PROTECT = 0u;
}

/* U0TXD and U0RXD are the pads' function 0; the ROM's last words stay in the FIFO. */
static void uart_init(void) {
    IO_MUX(EDGEQ_UART_TX_PIN) &= ~IO_MUX_FUNCTION_MASK;
    IO_MUX(EDGEQ_UART_RX_PIN) =
        (IO_MUX(EDGEQ_UART_RX_PIN) & ~IO_MUX_FUNCTION_MASK) | IO_MUX_INPUT_ENABLE;
    UART_CLK_CONF =
        (UART_CLK_CONF & ~(CLK_MASK >> 1)) | CLK_CRYSTAL_ON | ((UART_PRE_DIVIDER - 1u) << 12);
    UART_CLKDIV = (UART_SIXTEENTHS >> 4) | ((UART_SIXTEENTHS & 15u) << 20);
    UART_CONF0 = (UART_CONF0 & ~CONF0_FRAME) | CONF0_8N1;
}

static void marker_init(void) {
    hal_marker(false);
    GPIO_OUT_SEL(EDGEQ_MARKER_PIN) = OUT_SEL_PLAIN;
    GPIO_ENABLE_SET = 1u << EDGEQ_MARKER_PIN;
    IO_MUX(EDGEQ_MARKER_PIN) = (IO_MUX(EDGEQ_MARKER_PIN) & ~IO_MUX_FUNCTION_MASK) | IO_MUX_GPIO;
}

/* The core has no mcycle; its own counter stands in the custom registers mpcer (what), mpcmr (on)
 * and mpccr (count): TRM, 1.5; esp-idf, riscv/rv_utils.h. */
static void cycles_init(void) {
    __asm__ volatile("csrw 0x7e0, %0\n\tcsrw 0x7e1, %0" ::"r"(1u));
}

void hal_init(void) {
    stop_watchdogs();
    SYSCLK_CONF &= ~SYSCLK_CRYSTAL_MASK;
    uart_init();
    marker_init();
    cycles_init();
}

int hal_getc(void) {
    if ((UART_STATUS & STATUS_RX_COUNT) == 0u) {
        return -1;
    }
    return (int)(UART_FIFO & 0xFFu);
}

void hal_putc(uint8_t byte) {
    if (port_wait(&UART_STATUS, STATUS_TX_FULL, 0u)) {
        UART_FIFO = byte;
    }
}

uint32_t hal_cycles(void) {
    uint32_t cycles;
    __asm__ volatile("csrr %0, 0x7e2" : "=r"(cycles));
    return cycles;
}

uint32_t hal_clock_hz(void) {
    return EDGEQ_CLOCK_HZ;
}

void hal_marker(bool high) {
    if (high) {
        GPIO_OUT_SET = 1u << EDGEQ_MARKER_PIN;
    } else {
        GPIO_OUT_CLEAR = 1u << EDGEQ_MARKER_PIN;
    }
}

void hal_idle(void) {
}
