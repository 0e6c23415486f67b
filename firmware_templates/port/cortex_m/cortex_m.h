/* What every Cortex-M port shares: core registers and cycles. */
#ifndef EDGEQ_CORTEX_M_H
#define EDGEQ_CORTEX_M_H

#include "registers.h"

/* ARMv7-M Architecture Reference Manual, B3.2 (SCB), B3.3 (SysTick), C1.8 (DWT). */
#define SYST_CSR   REG32(0xE000E010u)
#define SYST_RVR   REG32(0xE000E014u)
#define SYST_CVR   REG32(0xE000E018u)
#define SCB_VTOR   REG32(0xE000ED08u)
#define SCB_CFSR   REG32(0xE000ED28u)
#define SCB_BFAR   REG32(0xE000ED38u)
#define SCB_CPACR  REG32(0xE000ED88u)
#define SCB_DEMCR  REG32(0xE000EDFCu)
#define DWT_CTRL   REG32(0xE0001000u)
#define DWT_CYCCNT REG32(0xE0001004u)

/* Starts DWT CYCCNT, or SysTick where CYCCNT is absent or stands still (QEMU, ARMv6-M). */
void port_cycles_init(void);
uint32_t port_cycles(void);

#endif
