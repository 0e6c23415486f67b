/* What differs on the RP2350's Arm core: the image's block and the cycle counter. */
#ifndef EDGEQ_RP2350_CORTEX_M33_H
#define EDGEQ_RP2350_CORTEX_M33_H

#include "cortex_m/cortex_m.h"

/* What the boot ROM looks for in the first 4 KB: an image for the Arm core in secure state, which
 * begins with its vector table (RP2350 datasheet, 5.9.5.1: minimum Arm IMAGE_DEF). */
__attribute__((section(".boot_block"), used)) static const uint32_t image_def[] = {
    0xFFFFDED3u, 0x10210142u, 0x000001FFu, 0x00000000u, 0xAB123579u};

static void core_cycles_init(void) {
    port_cycles_init();
}

static uint32_t core_cycles(void) {
    return port_cycles();
}

#endif
