/* Takes the place of main.c: rows that are linked in pass through edgeq_infer, outputs and routes
   leave by the UART, and the semihosting exit ends it on any emulator. The port is left out, for it
   looks whether the core has a cycle counter: the virtual board has DWT's, QEMU has SysTick alone,
   so its deadlines would execute other instructions there. */
#include "board_config.h"
#include "model/model.h"

/* Arm Cortex-M System Design Kit TRM (DDI0479), section 4.3 "UART". */
#define UART(offset) (*(volatile uint32_t *)(EDGEQ_UART_BASE + (offset)))

static const int8_t rows[][EDGEQ_INPUT_BYTES] = {
#include "rows.inc"
};

static void put(uint32_t byte) {
    while ((UART(4u) & 1u) != 0u) { /* full: never so on QEMU or on the virtual board */
    }
    UART(0u) = byte;
}

static void leave(void) {
    register uint32_t operation __asm("r0") = 0x18u; /* SYS_EXIT */
    register uint32_t reason __asm("r1") = 0x20026u; /* ADP_Stopped_ApplicationExit */
    __asm volatile("bkpt #0xab" : "+r"(operation) : "r"(reason) : "memory");
}

int main(void) {
    UART(16u) = EDGEQ_UART_BAUDDIV;
    UART(8u) = 1u;
    edgeq_init();
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int8_t output[EDGEQ_OUTPUT_COUNT];
        edgeq_infer(rows[i], output);
        for (uint32_t k = 0; k < EDGEQ_OUTPUT_COUNT; k++) {
            put((uint8_t)output[k]);
        }
        put((uint8_t)edgeq_route());
    }
    leave();
    for (;;) {
    }
}
