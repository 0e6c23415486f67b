/* What the ports of every core share: register access and bounded waits. */
#ifndef EDGEQ_PORT_REGISTERS_H
#define EDGEQ_PORT_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

#define REG32(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Polls a ready flag takes before it counts as absent; some milliseconds on every board. */
#define PORT_WAIT_POLLS 100000u

/* For an ARMv6-M core, which does not divide: as many steps as the quotient. */
static inline uint32_t port_quotient(uint32_t value, uint32_t divisor) {
    uint32_t quotient = 0;
    for (; value >= divisor; value -= divisor) {
        quotient++;
    }
    return quotient;
}

/* True once (register & mask) == value; false after PORT_WAIT_POLLS looks. */
static inline bool port_wait(const volatile uint32_t *reg, uint32_t mask, uint32_t value) {
    for (uint32_t polls = 0; polls < PORT_WAIT_POLLS; ++polls) {
        if ((*reg & mask) == value) {
            return true;
        }
    }
    return false;
}

#endif
