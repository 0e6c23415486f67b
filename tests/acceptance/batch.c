/* Takes the place of main.c: rows that QEMU's loader put into the board's PSRAM pass through
   edgeq_infer, outputs and routes leave by the UART. The protocol costs QEMU a turn of its main
   loop for each byte, a quarter of an hour for the clips of ESC-10. */
#include "model/model.h"
#include "port/hal.h"

#define COUNT (*(const uint32_t *)0x21000000)
#define ROWS  ((const int8_t *)0x21000004)

int main(void) {
    hal_init();
    edgeq_init();
    for (uint32_t i = 0; i < COUNT; i++) {
        int8_t output[EDGEQ_OUTPUT_COUNT];
        edgeq_infer(ROWS + i * EDGEQ_INPUT_BYTES, output);
        for (uint32_t k = 0; k < EDGEQ_OUTPUT_COUNT; k++) {
            hal_putc((uint8_t)output[k]);
        }
        hal_putc((uint8_t)edgeq_route());
    }
    for (;;) {
    }
}
