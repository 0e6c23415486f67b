/* What differs on the RP2350's RISC-V core, a Hazard3: the image's block and the cycle counter. */
#ifndef EDGEQ_RP2350_HAZARD3_H
#define EDGEQ_RP2350_HAZARD3_H

#include "hal.h"
#include "registers.h"

typedef struct {
    uint32_t start;
    uint32_t image_type; /* executable, RISC-V, RP2350 */
    uint32_t entry_point;
    void (*entry)(void);
    const uint32_t *stack;
    uint32_t last;
    uint32_t next; /* 0: the only block */
    uint32_t end;
} image_def_t;

void Reset_Handler(void);

/* What the boot ROM looks for in the first 4 KB, and chooses the core by (RP2350 datasheet,
 * 5.9.5.2: RISC-V IMAGE_DEF; pico-sdk, pico_crt0/embedded_start_block.inc.S). */
__attribute__((section(".boot_block"), used)) static const image_def_t image_def = {
    .start = 0xFFFFDED3u,
    .image_type = 0x11010142u,
    .entry_point = 0x00000344u,
    .entry = Reset_Handler,
    .stack = __stack_top__,
    .last = 0x000004FFu,
    .next = 0u,
    .end = 0xAB123579u};

/* mcycle stands still after reset: mcountinhibit.CY (Hazard3, 3.2; RP2350 datasheet, 3.8). */
static void core_cycles_init(void) {
    __asm__ volatile("csrci mcountinhibit, 1");
}

static uint32_t core_cycles(void) {
    uint32_t cycles;
    __asm__ volatile("csrr %0, mcycle" : "=r"(cycles));
    return cycles;
}

#endif
