/* Sums to outputs on ARMv6-M: bias, scale, zero point and bounds, a channel after the other. */
#ifndef EDGEQ_OUTPUTS_V6M_H
#define EDGEQ_OUTPUTS_V6M_H

#include "edgeq_layout.h"
#include "edgeq_requantize_v6m.h"

/* Channel `first` of them and what follows on it. All counts and offsets are in bytes. */
typedef struct {
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t y_step;     /* from one value of a channel to the next */
    int32_t sums_bytes; /* of one channel */
    int32_t above_low;  /* zero point - low */
    int32_t minus_span; /* low - high */
    int32_t high;
    int32_t first; /* 4 * channel */
    int32_t last;
} edgeq_outputs;

static inline edgeq_outputs edgeq_outputs_of(const int32_t *bias, const int32_t *multiplier,
                                             const int8_t *shift, int32_t zero_point, int32_t low,
                                             int32_t high) {
    edgeq_outputs o = {bias, multiplier, shift, 0, 0, zero_point - low, low - high, high, 0, 0};
    return o;
}

#if defined(__thumb__) && !defined(EDGEQ_PORTABLE)
EDGEQ_AT(edgeq_outputs, multiplier, 4);
EDGEQ_AT(edgeq_outputs, shift, 8);
EDGEQ_AT(edgeq_outputs, y_step, 12);
EDGEQ_AT(edgeq_outputs, sums_bytes, 16);
EDGEQ_AT(edgeq_outputs, above_low, 20);
EDGEQ_AT(edgeq_outputs, minus_span, 24);
EDGEQ_AT(edgeq_outputs, high, 28);
EDGEQ_AT(edgeq_outputs, first, 32);
EDGEQ_AT(edgeq_outputs, last, 36);

/* clang-format off */
/* r0 sums, r1 y, r2 to r5 free, r6 the shift, r7 above_low, r8 bias, r9 and r10 the halves of the
 * multiplier, r11 minus_span, r12 high, lr y_step; on the stack where the channel's sums end, the
 * job and the channel's y. edgeq_srdhm_v6m, whose rounding is the carry of its last shift. */
#define EDGEQ_OUTPUT_MULTIPLY                                                                      \
    "uxth r3, r2\n asrs r2, r2, #16\n"                                                             \
    "mov r4, r9\n muls r4, r3\n lsrs r4, r4, #16\n"                                                \
    "mov r5, r9\n muls r5, r2\n adds r4, r4, r5\n"                                                 \
    "mov r5, r10\n muls r3, r5\n muls r2, r5\n"                                                    \
    "uxth r5, r4\n asrs r4, r4, #16\n"                                                             \
    "adds r2, r2, r4\n adds r3, r3, r5\n"                                                          \
    "lsls r2, r2, #1\n lsrs r3, r3, #15\n adcs r2, r3\n"
#define EDGEQ_OUTPUT_STORE                                                                         \
    "asrs r3, r2, #31\n bics r2, r3\n add r2, r11\n"                                               \
    "asrs r3, r2, #31\n ands r2, r3\n add r2, r12\n"                                               \
    "strb r2, [r1]\n add r1, lr\n"                                                                 \
    "ldr r3, [sp]\n cmp r0, r3\n"

__attribute__((naked, noinline)) static void
edgeq_put_outputs(__attribute__((unused)) edgeq_outputs *o,
                  __attribute__((unused)) const int32_t *sums,
                  __attribute__((unused)) int8_t *y) {
    __asm__(".syntax unified\n"
            "push {r4-r7, lr}\n"
            "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"
            "push {r4-r7}\n"
            "sub sp, #12\n"
            "str r0, [sp, #4]\n"
            "str r2, [sp, #8]\n"
            "ldr r3, [r0, #12]\n mov lr, r3\n"
            "ldr r7, [r0, #20]\n"
            "ldr r3, [r0, #24]\n mov r11, r3\n"
            "ldr r3, [r0, #28]\n mov r12, r3\n"
            "movs r0, r1\n"
            "ldr r4, [sp, #4]\n"
            "ldr r3, [r4, #32]\n"
            "1:\n"
            "ldr r5, [r4]\n ldr r5, [r5, r3]\n mov r8, r5\n"
            "ldr r5, [r4, #4]\n ldr r5, [r5, r3]\n"
            "uxth r6, r5\n mov r9, r6\n asrs r5, r5, #16\n mov r10, r5\n"
            "ldr r5, [r4, #16]\n adds r5, r5, r0\n str r5, [sp]\n"
            "ldr r5, [r4, #8]\n lsrs r6, r3, #2\n ldrsb r6, [r5, r6]\n"
            "adds r3, #4\n str r3, [r4, #32]\n"
            "ldr r1, [sp, #8]\n adds r5, r1, #1\n str r5, [sp, #8]\n"
            "negs r6, r6\n"
            "ble 4f\n"
            "2:\n"
            "ldmia r0!, {r2}\n add r2, r8\n" EDGEQ_OUTPUT_MULTIPLY
            /* the last bit that leaves rounds up; a tie of a negative number is below one */
            "asrs r3, r2, #31\n adds r2, r2, r3\n asrs r2, r6\n adcs r2, r7\n" EDGEQ_OUTPUT_STORE
            "bne 2b\n"
            "3:\n"
            "ldr r4, [sp, #4]\n ldr r3, [r4, #32]\n ldr r5, [r4, #36]\n"
            "cmp r3, r5\n"
            "bne 1b\n"
            "add sp, #12\n"
            "pop {r4-r7}\n"
            "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
            "pop {r4-r7, pc}\n"
            "4:\n"
            "negs r6, r6\n"
            "5:\n"
            "ldmia r0!, {r2}\n add r2, r8\n lsls r2, r6\n" EDGEQ_OUTPUT_MULTIPLY
            "adds r2, r2, r7\n" EDGEQ_OUTPUT_STORE
            "bne 5b\n"
            "b 3b\n");
}
/* clang-format on */
#else
/* Every channel of the job: its sums to every y_step-th byte of y, the next channel's a byte on. */
static void edgeq_put_outputs(edgeq_outputs *o, const int32_t *sums, int8_t *y) {
    for (; o->first != o->last; o->first += 4, y++) {
        int32_t channel = o->first >> 2;
        int8_t *to = y;
        int32_t low = o->high + o->minus_span;
        for (int32_t i = 0; i < o->sums_bytes; i += 4, to += o->y_step) {
            int32_t acc = (int32_t)((uint32_t)o->bias[channel] + (uint32_t)*sums++);
            *to = edgeq_requantize_v6m(acc, o->multiplier[channel], o->shift[channel],
                                       o->above_low + low, low, o->high);
        }
    }
}
#endif

#endif
