/*
 * The 64-bit products and shifts that compilers call by name on ARMv6-M (Arm IHI 0043, long
 * integers): no library is linked. Each takes the same time whatever its operands: masks, no
 * branches.
 */
#include <stdint.h>

typedef union {
    uint64_t whole;
    struct {
        uint32_t low;
        uint32_t high;
    } part;
} words_t;

uint64_t __aeabi_lmul(uint64_t a, uint64_t b);
uint64_t __aeabi_llsl(uint64_t value, int32_t bits);
uint64_t __aeabi_llsr(uint64_t value, int32_t bits);
uint64_t __aeabi_lasr(uint64_t value, int32_t bits);

/* Hides where a value came from: a compiler that sees the long product here would call it. */
static inline uint32_t opaque(uint32_t value) {
    __asm("" : "+r"(value));
    return value;
}

/* All ones if `bits`, 0 to 63, moves a whole word. */
static inline uint32_t word_mask(uint32_t bits) {
    return opaque(0u - (bits >> 5));
}

/* a * b modulo 2^64 from products of halves; the middle ones carry into the high word. */
uint64_t __aeabi_lmul(uint64_t a, uint64_t b) {
    words_t x = {a};
    words_t y = {b};
    words_t result;
    uint32_t x0 = opaque(x.part.low & 0xFFFFu);
    uint32_t x1 = opaque(x.part.low >> 16);
    uint32_t y0 = opaque(y.part.low & 0xFFFFu);
    uint32_t y1 = opaque(y.part.low >> 16);
    uint32_t middle = x1 * y0 + (opaque(x0 * y0) >> 16); /* at most 2^32 - 2^16 - 1 */
    uint32_t lower = opaque(x0 * y1 + (middle & 0xFFFFu));
    result.part.low = x.part.low * y.part.low;
    result.part.high = x1 * y1 + (middle >> 16) + (lower >> 16);
    result.part.high += x.part.low * y.part.high + x.part.high * y.part.low;
    return result.whole;
}

/* Bits that cross between words are shifted twice: a shift by 32 is not defined. */
uint64_t __aeabi_llsl(uint64_t value, int32_t bits) {
    words_t x = {value};
    uint32_t within = (uint32_t)bits & 31u;
    uint32_t word = word_mask((uint32_t)bits);
    uint32_t low = x.part.low << within;
    uint32_t high = (x.part.high << within) | ((x.part.low >> 1) >> (31u - within));
    x.part.high = (high & ~word) | (low & word);
    x.part.low = low & ~word;
    return x.whole;
}

/* A right shift that fills up with `sign`: 0 or all ones. */
static inline uint64_t shift_right(uint64_t value, uint32_t bits, uint32_t sign) {
    words_t x = {value};
    uint32_t within = bits & 31u;
    uint32_t word = word_mask(bits);
    uint32_t high = (x.part.high >> within) | ((sign << 1) << (31u - within));
    uint32_t low = (x.part.low >> within) | ((x.part.high << 1) << (31u - within));
    x.part.low = (low & ~word) | (high & word);
    x.part.high = (high & ~word) | (sign & word);
    return x.whole;
}

uint64_t __aeabi_llsr(uint64_t value, int32_t bits) {
    return shift_right(value, (uint32_t)bits, 0u);
}

uint64_t __aeabi_lasr(uint64_t value, int32_t bits) {
    return shift_right(value, (uint32_t)bits, 0u - (uint32_t)(value >> 63));
}
