/* The serial line's rate is the host's wish for as long as it is heard; then that of the build. */
#include "line_rate.h"

#include "board_config.h"
#include "divide.h"
#include "elapsed.h"
#include "port/hal.h"

#define TOLERANCE 50u /* a fiftieth, 2 % */

static bool changed;
static uint64_t agreed_at; /* cycles */
static uint64_t patience;  /* cycles without a frame */

/* Of a port whose rate stays as it was built. */
__attribute__((weak)) uint32_t hal_baud_near(uint32_t baud) {
    (void)baud;
    return 0;
}

__attribute__((weak)) void hal_set_baud(uint32_t baud) {
    (void)baud;
}

bool line_rate_possible(uint32_t baud) {
    if (baud < 1200u || baud > 4000000u) {
        return false;
    }
    uint32_t near = hal_baud_near(baud);
    uint32_t off = near > baud ? near - baud : baud - near;
    return off <= baud && off * TOLERANCE <= baud;
}

void line_rate_set(uint32_t baud) {
    hal_set_baud(baud);
    uint32_t rest = 0;
    changed = baud != EDGEQ_UART_BAUD;
    patience = divide((uint64_t)hal_clock_hz() * EDGEQ_LINE_SILENCE_MS, 1000u, &rest);
    line_rate_agreed();
}

void line_rate_agreed(void) {
    if (changed) {
        agreed_at = elapsed_cycles();
    }
}

void line_rate_check(void) {
    if (changed && elapsed_cycles() - agreed_at > patience) {
        line_rate_set(EDGEQ_UART_BAUD);
    }
}
