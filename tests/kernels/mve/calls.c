/* Calls kernels as an image in memory says, then writes the image back to the host: a header of
 * three words (calls, bytes, 0), then five words a call (which function, four arguments). */
#include "calls.h"
#include "hal.h"

#define IMAGE ((volatile uint32_t *)IMAGE_BASE)

enum { SYS_OPEN = 1, SYS_CLOSE = 2, SYS_WRITE = 5, SYS_EXIT = 24 };

/* Arm semihosting specification 2.0, for M-profile. */
static uint32_t host(uint32_t operation, const void *given) {
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = given;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void write_back(uint32_t bytes) {
    static const char name[] = IMAGE_FILE;
    const uint32_t open[3] = {(uint32_t)(uintptr_t)name, 5u /* "wb" */, sizeof name - 1u};
    uint32_t file = host(SYS_OPEN, open);
    const uint32_t data[3] = {file, IMAGE_BASE, bytes};
    (void)host(SYS_WRITE, data);
    (void)host(SYS_CLOSE, &file);
}

int main(void) {
    hal_init();
    uint32_t calls = IMAGE[0], bytes = IMAGE[1];
    const volatile uint32_t *call = IMAGE + 3;
    for (uint32_t i = 0; i < calls; i++, call += 5) {
        FUNCTIONS[call[0]](call[1], call[2], call[3], call[4]);
    }
    if (bytes != 0u) {
        write_back(bytes);
    }
    (void)host(SYS_EXIT, (const void *)(uintptr_t)0x20026u); /* ADP_Stopped_ApplicationExit */
    return 0;
}
