/* The DSP instructions of ARMv7E-M that the kernels are written with, each with its twin in C. */
#ifndef EDGEQ_DSP_H
#define EDGEQ_DSP_H

#include <stdint.h>

#include "edgeq_layout.h"

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && !defined(EDGEQ_PORTABLE)
#define EDGEQ_DSP_ASM 1
#else
#define EDGEQ_DSP_ASM 0
#endif

/* 1 for a core whose instruction cache is so small that an unrolled loop and what runs between its
 * passes must share it. A build for a board defines EDGEQ_CODE_CACHE as the cache's bytes. */
#if defined(EDGEQ_CODE_CACHE) && EDGEQ_CODE_CACHE <= 1024
#define EDGEQ_SHORT_LOOPS 1
#else
#define EDGEQ_SHORT_LOOPS 0
#endif

/* Keeps what `pointer` points to in memory, where registers are too few for it. */
#if defined(EDGEQ_PORTABLE)
#define EDGEQ_IN_MEMORY(pointer) ((void)(pointer))
#else
#define EDGEQ_IN_MEMORY(pointer) __asm__ volatile("" : "+r"(pointer) : : "memory")
#endif

/* Position-independent code may keep the base of its data in r9, and no compiler lets assembly name
 * that as changed. There the assembly puts r9 back itself, for a few cycles a call. A build that
 * reserves r9 otherwise (-ffixed-r9) defines EDGEQ_FIXED_R9. */
#if defined(__PIC__) || defined(__ARM_RWPI) || defined(EDGEQ_FIXED_R9)
#define EDGEQ_KEEP_R9 "push {r9}\n"
#define EDGEQ_BACK_R9 "pop {r9}\n"
#define EDGEQ_USES_R9
#else
#define EDGEQ_KEEP_R9 ""
#define EDGEQ_BACK_R9 ""
#define EDGEQ_USES_R9 "r9",
#endif

/* A word from any address; the builtin, as a freestanding memcpy would be a call. */
static inline uint32_t edgeq_load_word(const void *from) {
    uint32_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}

static inline int32_t edgeq_low_half(uint32_t x) {
    return (int16_t)(uint16_t)x;
}

static inline int32_t edgeq_high_half(uint32_t x) {
    return (int16_t)(uint16_t)(x >> 16);
}

/* acc + a.low * b.low + a.high * b.high, wrapping */
static inline int32_t edgeq_smlad(uint32_t a, uint32_t b, int32_t acc) {
#if EDGEQ_DSP_ASM
    int32_t result;
    __asm__("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(acc));
    return result;
#else
    int32_t low = edgeq_low_half(a) * edgeq_low_half(b);
    int32_t high = edgeq_high_half(a) * edgeq_high_half(b);
    return (int32_t)((uint32_t)acc + (uint32_t)low + (uint32_t)high);
#endif
}

/* Bytes 0 and 2 as two signed halves. */
static inline uint32_t edgeq_sxtb16(uint32_t x) {
#if EDGEQ_DSP_ASM
    uint32_t result;
    __asm__("sxtb16 %0, %1" : "=r"(result) : "r"(x));
    return result;
#else
    uint32_t low = (uint32_t)(int32_t)(int8_t)(uint8_t)x & 0xFFFFu;
    return low | (uint32_t)(int32_t)(int8_t)(uint8_t)(x >> 16) << 16;
#endif
}

/* Bytes 1 and 3 as two signed halves. */
static inline uint32_t edgeq_sxtb16_ror8(uint32_t x) {
#if EDGEQ_DSP_ASM
    uint32_t result;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(x));
    return result;
#else
    return edgeq_sxtb16((x >> 8) | (x << 24));
#endif
}

/* (a * b + 2^31) >> 32 */
static inline int32_t edgeq_smmulr(int32_t a, int32_t b) {
#if EDGEQ_DSP_ASM
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
#endif
}

/* Two halves of `sums` and bytes 0 and 2 of x, added by themselves. */
static inline uint32_t edgeq_sxtab16(uint32_t sums, uint32_t x) {
#if EDGEQ_DSP_ASM
    uint32_t result;
    __asm__("sxtab16 %0, %1, %2" : "=r"(result) : "r"(sums), "r"(x));
    return result;
#else
    uint32_t bytes = edgeq_sxtb16(x);
    return ((sums + bytes) & 0xFFFFu) | ((sums & 0xFFFF0000u) + (bytes & 0xFFFF0000u));
#endif
}

/* The same of bytes 1 and 3. */
static inline uint32_t edgeq_sxtab16_ror8(uint32_t sums, uint32_t x) {
#if EDGEQ_DSP_ASM
    uint32_t result;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(result) : "r"(sums), "r"(x));
    return result;
#else
    return edgeq_sxtab16(sums, (x >> 8) | (x << 24));
#endif
}

/* c + (a * b + 2^31) >> 32, wrapping */
static inline int32_t edgeq_smmlar(int32_t a, int32_t b, int32_t c) {
#if EDGEQ_DSP_ASM
    int32_t result;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(c));
    return result;
#else
    return (int32_t)((uint32_t)edgeq_smmulr(a, b) + (uint32_t)c);
#endif
}

/* x >> 1, saturated to 8 bits */
static inline int32_t edgeq_saturate_half(int32_t x) {
#if EDGEQ_DSP_ASM
    int32_t result;
    __asm__("ssat %0, #8, %1, asr #1" : "=r"(result) : "r"(x));
    return result;
#else
    int32_t half = x >> 1;
    half = half < -128 ? -128 : half;
    return half > 127 ? 127 : half;
#endif
}

/* Requantises for |acc| < 2^30 and shift <= -1: SRDHM(acc, m) is SMMULR(2 acc, m), and the
 * rounding divide by 2^e, ties away from zero, is two shifts with a 1 between them. */
static inline int32_t edgeq_requantize_dsp(int32_t acc, int32_t multiplier, int32_t shift) {
    int32_t v = edgeq_smmulr((int32_t)((uint32_t)acc << 1), multiplier);
    v += v >> 31;
    return ((v >> ~shift) + 1) >> 1;
}

#endif
