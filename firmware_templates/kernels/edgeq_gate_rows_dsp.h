/* Sums of rows, two columns in one multiply. */
#ifndef EDGEQ_GATE_ROWS_DSP_H
#define EDGEQ_GATE_ROWS_DSP_H

#include "edgeq_dsp.h"
#include "edgeq_gates.h"
#include "edgeq_kernels_dsp.h"

#if EDGEQ_DSP_ASM
/* clang-format off */
#define EDGEQ_GATE_PRODUCT(acc)                                                                    \
    "sxtb16 lr, r12\n"                                                                             \
    "sxtb16 r12, r12, ror #8\n"                                                                    \
    "smlad " acc ", lr, r10, " acc "\n"                                                            \
    "smlad " acc ", r12, r11, " acc "\n"

/* acc[i] += row i times x, `minus` added to both halves, of four rows that lie `n` apart, over the
 * columns before `end`, of which there are some: whole fours. r0 runs over x, r2 over the first row,
 * r4 over the third; words need not be aligned. */
__attribute__((naked, noinline)) static void
edgeq_gate_four(const int8_t *x __attribute__((unused)), const int8_t *end __attribute__((unused)),
                const int8_t *weight __attribute__((unused)), int32_t n __attribute__((unused)),
                uint32_t minus __attribute__((unused)), int32_t *acc __attribute__((unused))) {
    __asm__("push {r4-r11, lr}\n"
            "ldr r4, [sp, #40]\n"
            "ldr r5, [sp, #36]\n"
            "ldm.w r4, {r6-r9}\n"
            "add.w r4, r2, r3, lsl #1\n"
            ".balign 4\n"
            "1:\n"
            "ldr.w r11, [r0], #4\n"
            "ldr.w r12, [r2, r3]\n"
            "sxtab16 r10, r5, r11\n"
            "sxtab16 r11, r5, r11, ror #8\n"
            EDGEQ_GATE_PRODUCT("r7")
            "ldr.w r12, [r2], #4\n"
            EDGEQ_GATE_PRODUCT("r6")
            "ldr.w r12, [r4, r3]\n"
            EDGEQ_GATE_PRODUCT("r9")
            "ldr.w r12, [r4], #4\n"
            EDGEQ_GATE_PRODUCT("r8")
            "cmp r0, r1\n"
            "bne 1b\n"
            "ldr r4, [sp, #40]\n"
            "stm.w r4, {r6-r9}\n"
            "pop {r4-r11, pc}\n");
}
/* clang-format on */
#else
static void edgeq_gate_four(const int8_t *x, const int8_t *end, const int8_t *weight, int32_t n,
                            uint32_t minus, int32_t *acc) {
    for (; x != end; x += 4, weight += 4) {
        const uint32_t word = edgeq_load_word(x);
        const uint32_t even = edgeq_sxtab16(minus, word);
        const uint32_t odd = edgeq_sxtab16_ror8(minus, word);
        for (int32_t i = 0; i < EDGEQ_GATE_ROWS; i++) {
            const uint32_t row = edgeq_load_word(weight + i * n);
            acc[i] = edgeq_smlad(edgeq_sxtb16(row), even, acc[i]);
            acc[i] = edgeq_smlad(edgeq_sxtb16_ror8(row), odd, acc[i]);
        }
    }
}
#endif

/* acc[i] += row i times x without its zero point, of `count` rows of `n` weights. */
__attribute__((noinline)) static void edgeq_gate_rows(const int8_t *x, int32_t zero_point,
                                                      const int8_t *weight, int32_t n,
                                                      int32_t count, int32_t *acc) {
    int32_t done = 0;
    if (count == EDGEQ_GATE_ROWS && n >= 4) {
        done = n & ~3;
        edgeq_gate_four(x, x + done, weight, n, (uint32_t)(-zero_point & 0xFFFF) * 0x10001u, acc);
        if (done == n) {
            return;
        }
    }
    for (int32_t i = 0; i < count; i++) {
        acc[i] = edgeq_gate_dot(x + done, zero_point, weight + done, n - done, acc[i]);
        weight += n;
    }
}

#endif
