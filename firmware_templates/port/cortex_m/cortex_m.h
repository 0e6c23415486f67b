/* What every Cortex-M port shares: register access, core registers, bounded waits, cycles. */
#ifndef EDGEQ_CORTEX_M_H
#define EDGEQ_CORTEX_M_H

#include <stdbool.h>
#include <stdint.h>

#define REG32(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* ARMv7-M Architecture Reference Manual, B3.2 (SCB), B3.3 (SysTick), C1.8 (DWT). */
#define SYST_CSR   REG32(0xE000E010u)
#define SYST_RVR   REG32(0xE000E014u)
#define SYST_CVR   REG32(0xE000E018u)
#define SCB_VTOR   REG32(0xE000ED08u)
#define SCB_CFSR   REG32(0xE000ED28u)
#define SCB_CPACR  REG32(0xE000ED88u)
#define SCB_DEMCR  REG32(0xE000EDFCu)
#define DWT_CTRL   REG32(0xE0001000u)
#define DWT_CYCCNT REG32(0xE0001004u)

/* Polls a ready flag takes before it counts as absent; some milliseconds on every board. */
#define PORT_WAIT_POLLS 100000u

/* True once (register & mask) == value; false after PORT_WAIT_POLLS looks. */
static inline bool port_wait(const volatile uint32_t *reg, uint32_t mask, uint32_t value) {
    for (uint32_t polls = 0; polls < PORT_WAIT_POLLS; ++polls) {
        if ((*reg & mask) == value) {
            return true;
        }
    }
    return false;
}

/* Starts DWT CYCCNT, or SysTick where CYCCNT is absent or stands still (QEMU, ARMv6-M). */
void port_cycles_init(void);
uint32_t port_cycles(void);

#endif
