#include "hal.h"
int main(void) {
    hal_init();
    for (const char *p = "ready\r\n"; *p != '\0'; ++p) {
        hal_putc((uint8_t)*p);
    }
    for (;;) {
        int byte = hal_getc();
        if (byte >= 0) {
            hal_putc((uint8_t)byte);
        } else {
            hal_idle();
        }
    }
}
