"""Small firmwares for the virtual board, as C."""

HEADER = """
#include <stdint.h>
#define REG(a) (*(volatile uint32_t *)(a))
#define DATA REG(0x40004000u)
#define STATE REG(0x40004004u)
#define CTRL REG(0x40004008u)
#define CYCCNT REG(0xE0001004u)
extern __attribute__((noinline)) int main(void);
void Reset_Handler(void);
void Reset_Handler(void) {
    REG(0xE000ED88u) |= 0xFu << 20;
    __asm volatile("dsb\\n isb" ::: "memory");
    REG(0xE000EDFCu) |= 1u << 24;
    CYCCNT = 0;
    REG(0xE0001000u) |= 1u;
    (void)main();
    for (;;) {
    }
}
__attribute__((used, section(".vectors"))) static void *const vectors[2] = {
    (void *)0x20010000, (void *)Reset_Handler};
static inline void put(uint8_t c) {
    while (STATE & 1u) {
    }
    DATA = c;
}
static inline uint8_t get(void) {
    while (!(STATE & 2u)) {
    }
    return (uint8_t)DATA;
}
"""

ECHO = (
    HEADER
    + """
int main(void) {
    CTRL = 3;
    put('r'); put('d'); put('y'); put('\\n');
    for (;;) {
        put(get());
    }
}
"""
)

# one function asks both questions: the simulator must not take one for the other
SHARED_STATE = (
    HEADER
    + """
static __attribute__((noinline)) uint32_t state(void) { return STATE; }
static __attribute__((noinline)) void send(uint8_t c) {
    while (state() & 1u) {
    }
    DATA = c;
}
int main(void) {
    CTRL = 3;
    for (;;) {
        while (!(state() & 2u)) {
        }
        uint8_t c = (uint8_t)DATA;
        send(c);
        send((uint8_t)(c + 1));
    }
}
"""
)

# greets with 'k'; sends 64 KiB on 's', the cycles of a fixed loop on 'c'
SENDER = (
    HEADER
    + """
static volatile uint32_t sink;
int main(void) {
    CTRL = 3;
    put('k');
    for (;;) {
        uint8_t command = get();
        if (command == 's') {
            for (uint32_t i = 0; i < 65536u; i++) {
                put((uint8_t)(i * 7u));
            }
        } else if (command == 'c') {
            uint32_t start = CYCCNT;
            for (uint32_t i = 0; i < 1000u; i++) {
                sink = i;
            }
            uint32_t cycles = CYCCNT - start;
            for (int shift = 24; shift >= 0; shift -= 8) {
                put((uint8_t)(cycles >> shift));
            }
        }
    }
}
"""
)

FUNCTIONS = (
    HEADER
    + """
uint32_t table[4] = {1, 2, 3, 4};
uint32_t zeros[4];
int main(void) { __asm volatile(""); return 0; }
__attribute__((used)) int32_t dot(const int8_t *a, const int8_t *b, int32_t n) {
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}
__attribute__((used)) int32_t six(int32_t a, int32_t b, int32_t c, int32_t d, int32_t e,
                                  int32_t f) {
    return a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * f;
}
__attribute__((used)) uint32_t from_data(uint32_t i) { return table[i] + zeros[i]; }
__attribute__((used)) uint32_t spin(uint32_t n) {
    uint32_t x = 1;
    for (uint32_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        x ^= x >> 7;
        __asm volatile("" : "+r"(x));
    }
    return x;
}
#ifdef __ARM_FP
__attribute__((used)) float half(float x) { return x * 0.5f; }
#endif
"""
)

FAULT = (
    HEADER
    + """
volatile uint8_t kind = 255;
volatile uint32_t static_data[64];
int main(void) {
    static_data[0] = 1;
    CTRL = 1;
    for (const char *s = "going down"; *s; s++) { put((uint8_t)*s); }
    switch (kind) { %s }
    return 0;
}
"""
)

# a whole vector table, and what a scheduler needs of the core
KERNEL = """
#include <stdint.h>
#define REG(a) (*(volatile uint32_t *)(a))
#define CSR REG(0xE000E010u)
#define RVR REG(0xE000E014u)
#define CVR REG(0xE000E018u)
#define ICSR REG(0xE000ED04u)
#define SHPR2 REG(0xE000ED1Cu)
#define SHPR3 REG(0xE000ED20u)
#define PRIORITY(n) (*(volatile uint8_t *)(0xE000ED14u + (n)))
extern uint32_t stack_top;
void Reset_Handler(void);
void SVC_Handler(void);
void PendSV_Handler(void);
void SysTick_Handler(void);
int main(void);
uint8_t stack[4096] __attribute__((aligned(8)));
volatile uint32_t ticks, order;
static void note(uint32_t event) { order = order * 10u + event; }
__attribute__((used, section(".vectors"))) static void *const vectors[16] = {
    stack + sizeof stack, (void *)Reset_Handler, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    (void *)SVC_Handler, 0, 0, (void *)PendSV_Handler, (void *)SysTick_Handler};
static void semihost(uint32_t operation, uint32_t argument) {
    register uint32_t r0 __asm("r0") = operation;
    register uint32_t r1 __asm("r1") = argument;
    __asm volatile("bkpt #0xab" : "+r"(r0) : "r"(r1) : "memory");
}
static void finish(uint32_t code) {
    volatile uint32_t block[2];
    block[0] = 0x20026u;
    block[1] = code;
    semihost(0x20u, (uint32_t)(uintptr_t)block);
}
void Reset_Handler(void) {
    finish((uint32_t)main());
    for (;;) {
    }
}
"""
