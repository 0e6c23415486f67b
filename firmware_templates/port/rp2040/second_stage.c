/* The second stage of the boot: sets the flash up so that the core can execute from it.
 *
 * The boot ROM copies the first 256 bytes of the flash to 0x20041F00, checks their CRC32 (the last
 * four, which seal.py writes) and enters at their start (RP2040 datasheet, 2.8.1). So this code
 * does not depend on where it runs and has neither data nor bss.
 * Flash: W25Q16JV or kin, whose quad-enable bit is bit 1 of status register 2 (Winbond W25Q16JV
 * datasheet, 7.1.4 and 8.2.14 "Fast Read Quad I/O"). Registers: RP2040 datasheet, 4.10.13 (SSI),
 * 2.19.6.4 (PADS_QSPI). */
#include "board_config.h"
#include "cortex_m/cortex_m.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("Os") /* unrolled loops would not fit into 252 bytes */
#endif

typedef struct {
    volatile uint32_t ctrlr0, ctrlr1, ssienr, mwcr, ser, baudr, txftlr, rxftlr, txflr, rxflr, sr;
    volatile uint32_t unused[13];
    volatile uint32_t dr0; /* 0x60 */
} ssi_t;

typedef struct {
    volatile uint32_t rx_sample_dly; /* 0xF0 */
    volatile uint32_t spi_ctrlr0;
} ssi_more_t;

#define SSI_BASE 0x18000000u
#define SSI_MORE 0xF0u

#define PADS_QSPI_SCLK 0x40020004u /* followed by the data lines SD0 to SD3 */
#define PAD_FAST_8MA   0x21u
#define PAD_DATA       0x50u /* as after reset, but without the input's Schmitt trigger */

#define SR_BUSY           1u
#define SR_TX_EMPTY       4u
#define CTRLR0_BYTES      (7u << 16)                             /* standard SPI, both ways */
#define CTRLR0_QUAD_WORDS ((2u << 21) | (31u << 16) | (3u << 8)) /* quad, send then receive */

/* 24 address and 8 mode bits on four lines, then four dummy clocks. */
#define MODE_CONTINUOUS 0xA0u /* the next read needs no command */
#define QUAD_READ_FIRST ((4u << 11) | (2u << 8) | (8u << 2) | 1u) /* command on one line */
#define QUAD_READ_NEXT  ((MODE_CONTINUOUS << 24) | (4u << 11) | (8u << 2) | 2u) /* none */

#define FLASH_WRITE_STATUS  0x01u
#define FLASH_READ_STATUS_1 0x05u
#define FLASH_WRITE_ENABLE  0x06u
#define FLASH_READ_STATUS_2 0x35u
#define FLASH_READ_QUAD     0xEBu
#define STATUS_1_BUSY       1u
#define STATUS_2_QUAD       2u

extern const uint32_t __vectors_start__[]; /* behind the second stage: see linker.ld */

#define IN_SECOND_STAGE __attribute__((section(".second_stage.functions"), noinline, used))

/* A base in a register: addresses as literals would not fit into 252 bytes. */
static inline uint32_t opaque(uint32_t value) {
    __asm("" : "+r"(value));
    return value;
}

/* Sends `bytes` (the lowest first) and waits; returns the last byte received. Unlike in a port, no
 * wait has a deadline: if the flash does not answer there is nothing to run. */
IN_SECOND_STAGE static uint32_t exchange(ssi_t *ssi, uint32_t bytes, uint32_t count) {
    uint32_t last = 0;
    for (uint32_t left = count; left != 0u; --left) {
        ssi->dr0 = bytes;
        bytes >>= 8;
    }
    while ((ssi->sr & (SR_BUSY | SR_TX_EMPTY)) != SR_TX_EMPTY) {
    }
    for (; count != 0u; --count) {
        last = ssi->dr0;
    }
    return last;
}

/* Writing both status registers clears their other bits: all of them protect or lock something. */
IN_SECOND_STAGE static void enable_quad(ssi_t *ssi) {
    if ((exchange(ssi, FLASH_READ_STATUS_2, 2u) & STATUS_2_QUAD) == 0u) {
        (void)exchange(ssi, FLASH_WRITE_ENABLE, 1u);
        (void)exchange(ssi, FLASH_WRITE_STATUS | (STATUS_2_QUAD << 16), 3u);
        while ((exchange(ssi, FLASH_READ_STATUS_1, 2u) & STATUS_1_BUSY) != 0u) {
        }
    }
}

__attribute__((section(".second_stage.entry"), used, noreturn)) void edgeq_second_stage(void);

/* One read by hand puts the flash into continuous mode; from then on XIP reads without command. */
void edgeq_second_stage(void) {
    ssi_t *ssi = (ssi_t *)opaque(SSI_BASE);
    ssi_more_t *more = (ssi_more_t *)opaque((uint32_t)(uintptr_t)ssi + SSI_MORE);
    volatile uint32_t *pads = (volatile uint32_t *)opaque(PADS_QSPI_SCLK);
    pads[0] = PAD_FAST_8MA;
    pads[1] = pads[2] = pads[3] = pads[4] = PAD_DATA;
    ssi->ssienr = 0u;
    ssi->baudr = EDGEQ_FLASH_CLOCK_DIVIDER;
    more->rx_sample_dly = 1u;
    ssi->ctrlr0 = CTRLR0_BYTES;
    ssi->ssienr = 1u;
    enable_quad(ssi);
    ssi->ssienr = 0u;
    ssi->ctrlr0 = CTRLR0_QUAD_WORDS;
    ssi->ctrlr1 = 0u; /* one word a read */
    more->spi_ctrlr0 = QUAD_READ_FIRST;
    ssi->ssienr = 1u;
    ssi->dr0 = FLASH_READ_QUAD;
    (void)exchange(ssi, MODE_CONTINUOUS, 1u); /* address 0; the word read is dropped */
    ssi->ssienr = 0u;
    more->spi_ctrlr0 = QUAD_READ_NEXT;
    ssi->ssienr = 1u;
    const uint32_t *vectors = (const uint32_t *)opaque((uint32_t)(uintptr_t)__vectors_start__);
    SCB_VTOR = (uint32_t)(uintptr_t)vectors;
    __asm volatile("msr msp, %0\n\tbx %1" ::"r"(vectors[0]), "r"(vectors[1]) : "memory");
    __builtin_unreachable();
}
