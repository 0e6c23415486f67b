#include "divide.h"

uint64_t divide(uint64_t value, uint32_t divisor, uint32_t *remainder) {
    uint64_t quotient = 0;
    uint64_t rest = 0;
    for (uint32_t bit = 0; bit < 64u; bit++) {
        rest = (rest << 1) | (value >> 63);
        value <<= 1;
        quotient <<= 1;
        if (rest >= divisor) {
            rest -= divisor;
            quotient |= 1u;
        }
    }
    *remainder = (uint32_t)rest;
    return quotient;
}
