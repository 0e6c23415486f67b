/* What a trace must find, and what it must let pass. Each function is a root of its own. */
#include "port/hal.h"

#define ROOT __attribute__((noinline)) int

typedef int (*root)(const int8_t *x, int8_t *y);

uint8_t sample_input[16];
int8_t sample_output[16];
static int8_t arena[64];
static const uint8_t table[256] = {1, 2, 3};

/* Constant: loops over a fixed count, a selection by masks, a look-up, a spill. */
ROOT steady(const int8_t *x, int8_t *y) {
    int32_t sum = 0;
    for (int i = 0; i < 16; i++) {
        int32_t negative = x[i] >> 31;
        arena[i] = (int8_t)((x[i] ^ negative) - negative);
        sum += table[(uint8_t)x[i]] + arena[i];
    }
    y[0] = (int8_t)sum;
    return 0;
}

/* The input decides after it went through the arena, a sum and the stack. */
ROOT hidden(const int8_t *x, int8_t *y) {
    volatile int32_t kept[4];
    for (int i = 0; i < 16; i++) {
        arena[i] = (int8_t)(x[i] + 1);
    }
    kept[1] = arena[3] + arena[5];
    int32_t turns = kept[1] & 7;
    for (int32_t i = 0; i < turns; i++) {
        y[i] = 1;
        __asm volatile("" ::: "memory");
    }
    return 0;
}

/* Overwritten by a constant, the input decides nothing. */
ROOT overwritten(const int8_t *x, int8_t *y) {
    volatile int32_t kept = x[0];
    kept = 5;
    for (int32_t i = 0; i < kept; i++) {
        y[i] = x[i];
        __asm volatile("" ::: "memory");
    }
    return 0;
}

#if __ARM_ARCH >= 7
/* A store that happens or not: an IT block, no branch. */
ROOT predicated(const int8_t *x, int8_t *y) {
    __asm volatile("cmp %0, #3\n\tit gt\n\tstrbgt %0, [%1]" ::"r"((int32_t)x[0]), "r"(y)
                   : "cc", "memory");
    return 0;
}

/* One-cycle instructions under a condition pass, and carry the input on. */
ROOT selected(const int8_t *x, int8_t *y) {
    int32_t chosen;
    __asm volatile("cmp %1, #3\n\tite gt\n\tmovgt %0, #1\n\tmovle %0, #2"
                   : "=r"(chosen)
                   : "r"((int32_t)x[0])
                   : "cc");
    y[0] = (int8_t)chosen;
    return 0;
}

ROOT decided_by_selected(const int8_t *x, int8_t *y) {
    selected(x, y);
    if (y[0] == 1) {
        __asm volatile("nop");
    }
    return 0;
}

ROOT divides(const int8_t *x, int8_t *y) {
    y[0] = (int8_t)(x[0] / x[1]);
    return 0;
}

#endif

#ifdef __ARM_FP
ROOT floats(const int8_t *x, int8_t *y) {
    __asm volatile("vadd.f32 s0, s0, s0");
    y[0] = x[0];
    return 0;
}
#endif

static int first(const int8_t *x, int8_t *y) {
    return steady(x, y);
}

static int second(const int8_t *x, int8_t *y) {
    return hidden(x, y);
}

static const root experts[2] = {first, second};

/* The input chooses a function; each of them is traced. */
ROOT edgeq_infer(const int8_t *x, int8_t *y) {
    return experts[(uint8_t)x[0] >> 7](x, y);
}

int main(void) {
    const int8_t *x = (const int8_t *)sample_input;
    int sum = steady(x, sample_output) + hidden(x, sample_output);
    sum += overwritten(x, sample_output) + edgeq_infer(x, sample_output);
#if __ARM_ARCH >= 7
    sum += predicated(x, sample_output) + selected(x, sample_output);
    sum += decided_by_selected(x, sample_output) + divides(x, sample_output);
#endif
#ifdef __ARM_FP
    sum += floats(x, sample_output);
#endif
    return sum;
}
