/* Calls of the compiler's own functions by name, for values in memory. */
#include <stdint.h>

uint64_t __aeabi_lmul(uint64_t a, uint64_t b);
uint64_t __aeabi_llsl(uint64_t value, int32_t bits);
uint64_t __aeabi_llsr(uint64_t value, int32_t bits);
uint64_t __aeabi_lasr(uint64_t value, int32_t bits);
void run_lmul(uint64_t *x);
void run_llsl(uint64_t *x);
void run_llsr(uint64_t *x);
void run_lasr(uint64_t *x);

void run_lmul(uint64_t *x) {
    x[0] = __aeabi_lmul(x[0], x[1]);
}

void run_llsl(uint64_t *x) {
    x[0] = __aeabi_llsl(x[0], (int32_t)x[1]);
}

void run_llsr(uint64_t *x) {
    x[0] = __aeabi_llsr(x[0], (int32_t)x[1]);
}

void run_lasr(uint64_t *x) {
    x[0] = __aeabi_lasr(x[0], (int32_t)x[1]);
}

/* Through a table, so that none is inlined or dropped. */
static void (*const volatile calls[])(uint64_t *x) = {run_lmul, run_llsl, run_llsr, run_lasr};

int main(void) {
    uint64_t x[2] = {0, 0};
    for (uint32_t i = 0; i < 4u; i++) {
        calls[i](x);
    }
    return 0;
}
