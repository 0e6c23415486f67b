/* What every RISC-V port shares: registers, those of bytes too. */
#ifndef EDGEQ_RISCV_H
#define EDGEQ_RISCV_H

#include "registers.h"

#define REG8(address) (*(volatile uint8_t *)(uintptr_t)(address))

/* port_wait for a register of a byte. */
static inline bool port_wait_8(const volatile uint8_t *reg, uint32_t mask, uint32_t value) {
    for (uint32_t polls = 0; polls < PORT_WAIT_POLLS; ++polls) {
        if ((*reg & mask) == value) {
            return true;
        }
    }
    return false;
}

#endif
