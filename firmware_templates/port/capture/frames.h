/* The part of every capture driver that no register is in: which half is whole, what was lost. */
#ifndef EDGEQ_CAPTURE_FRAMES_H
#define EDGEQ_CAPTURE_FRAMES_H

#include "board_config.h"
#include "capture/capture.h"
#include "cortex_m/cortex_m.h"

/* ARMv7-M Architecture Reference Manual, B3.4: set and clear enables, a bit a line. */
#define NVIC_ISER(irq) REG32(0xE000E100u + 4u * ((irq) / 32u))
#define NVIC_ICER(irq) REG32(0xE000E180u + 4u * ((irq) / 32u))
#define NVIC_BIT(irq)  (1u << ((irq) % 32u))

/* The vector of the board's CAPTURE_IRQ. */
void capture_interrupt(void);

/* Before the first sample: nothing is filled, taken or lost. */
void frames_begin(const uint16_t *halves, uint32_t samples);

/* From the interrupt: which halves the DMA has filled since the last one. */
void frames_filled(bool first, bool second);

/* From the interrupt: a frame was filled and nobody saw it. */
void frames_missed(void);

#endif
