/* Entry, memory set-up and traps of a hart in machine mode. No interrupt is ever enabled: the
 * firmware polls. */
#include "start.h"

void edgeq_start(void);
void edgeq_trap(uint32_t cause, uint32_t pc, uint32_t value);

/* Says what went wrong where a host can read it, at once and to each that asks; a restart would
 * hide it. */
__attribute__((used, noreturn)) void edgeq_trap(uint32_t cause, uint32_t pc, uint32_t value) {
    for (;;) {
        put_text("\r\ne-[fault at pc ");
        put_hex(pc);
        put_text(" mcause ");
        put_hex(cause);
        put_text(" mtval ");
        put_hex(value);
        put_text("]\r\n");
        wait_until_asked();
    }
}

/* First in flash, where harts without a vector table begin. The stack may be what broke: a trap
 * takes it anew, at an address that suits every mtvec, the ESP32-C3's too (256 bytes).
 * Privileged Architecture 1.12, 3.1.7 (mtvec), 3.1.14 to 3.1.16 (mepc, mcause, mtval). */
__attribute__((section(".vectors"), used, naked, noreturn)) void Reset_Handler(void) {
    __asm__ volatile("la sp, __stack_top__\n"
                     "la t0, 1f\n"
                     "csrw mtvec, t0\n"
                     "j edgeq_start\n"
                     ".balign 256\n"
                     "1: la sp, __stack_top__\n"
                     "csrr a0, mcause\n"
                     "csrr a1, mepc\n"
                     "csrr a2, mtval\n"
                     "j edgeq_trap\n"
                     ".balign 64\n");
}

__attribute__((used, noreturn)) void edgeq_start(void) {
    run_main();
}
