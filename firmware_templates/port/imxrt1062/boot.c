/* What the boot ROM of the i.MX RT1062 reads at the start of a serial flash that code runs from:
 * how to read the flash, and where to begin. i.MX RT1060 Reference Manual, System Boot (FlexSPI NOR
 * configuration block, image vector table, boot data); values as PJRC's core has them for the
 * Teensy 4.0, github.com/PaulStoffregen/cores, teensy4/bootdata.c. */
#include "board_config.h"
#include "hal.h"

#define WORD(offset) ((offset) / 4u)
#define IVT_OFFSET   0x1000u
#define VECTORS      0x1400u /* on a boundary that the vector table may have */

void Reset_Handler(void);
void edgeq_enter(void);

typedef struct {
    const void *start;
    uint32_t bytes;
    uint32_t plugin;
} boot_data_t;

typedef struct {
    uint32_t header;
    void (*entry)(void);
    uint32_t reserved;
    uint32_t device_configuration;
    const boot_data_t *boot_data;
    const void *self;
    uint32_t signature;
    uint32_t reserved_too;
} image_vector_table_t;

typedef struct {
    uint32_t flash[WORD(IVT_OFFSET)];
    image_vector_table_t ivt;
    boot_data_t boot_data;
    uint32_t rest[WORD(VECTORS - IVT_OFFSET - sizeof(image_vector_table_t) - sizeof(boot_data_t))];
} boot_header_t;

/* Reads by 0xEB: an address of 24 bits, a mode byte, four dummies and the data on four lines. */
__attribute__((section(".boot_header"), used)) static const boot_header_t boot_header = {
    .flash =
        {
            [WORD(0x000u)] = 0x42464346u, /* "FCFB" */
            [WORD(0x004u)] = 0x56010000u, /* version 1.0 */
            [WORD(0x00Cu)] = 0x00030301u, /* clock of samples, hold and set-up of the select line */
            [WORD(0x044u)] = 0x00080401u, /* serial NOR, four lines, 133 MHz */
            [WORD(0x050u)] = EDGEQ_FLASH_CHIP_BYTES,
            [WORD(0x080u)] = 0x0A1804EBu,
            [WORD(0x084u)] = 0x32041E20u,
            [WORD(0x088u)] = 0x7C012604u,
            [WORD(0x1C0u)] = 256u,  /* bytes of a page */
            [WORD(0x1C4u)] = 4096u, /* and of a sector */
            [WORD(0x1C8u)] = 1u,
            [WORD(0x1D0u)] = 0x10000u, /* and of a block */
        },
    .ivt =
        {
            .header = 0x432000D1u,
            .entry = edgeq_enter,
            .boot_data = &boot_header.boot_data,
            .self = &boot_header.ivt,
        },
    .boot_data = {.start = &boot_header, .bytes = EDGEQ_FLASH_CHIP_BYTES},
};

/* The ROM jumps here with its own stack. */
__attribute__((used, naked, noreturn)) void edgeq_enter(void) {
    __asm volatile("ldr r0, =__stack_top__\n\t"
                   "mov sp, r0\n\t"
                   "ldr r0, =Reset_Handler\n\t"
                   "bx r0\n\t"
                   ".ltorg");
}
