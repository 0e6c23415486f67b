/* Sums of a line of depthwise outputs on ARMv6-M, three taps at a time. */
#ifndef EDGEQ_TAPS_V6M_H
#define EDGEQ_TAPS_V6M_H

#include <stdint.h>

#include "edgeq_layout.h"

/* From each offset into `lines` three taps begin, four bytes apart; `weights` has three for each.
 * stride: bytes from one output's cells to the next's; at 4 the sums are a multiple of three. */
typedef struct {
    int32_t *sums;
    const int32_t *sums_end;
    const int32_t *from;
    const int32_t *from_end;
    const int32_t *weights;
    const uint8_t *lines;
    int32_t stride;
} edgeq_taps;

#if defined(__thumb__) && !defined(EDGEQ_PORTABLE)
EDGEQ_AT(edgeq_taps, sums_end, 4);
EDGEQ_AT(edgeq_taps, from, 8);
EDGEQ_AT(edgeq_taps, from_end, 12);
EDGEQ_AT(edgeq_taps, weights, 16);
EDGEQ_AT(edgeq_taps, lines, 20);
EDGEQ_AT(edgeq_taps, stride, 24);

/* clang-format off */
/* r0 sums, r1 cells, r2 to r4 activations, r5 free, r6 a sum, r7 and r9 and r10 the weights, r8 the
 * stride, r11 the next offset, r12 where the sums end, lr where the offsets do; on the stack the
 * next weights, the first sum and the lines. The eldest activation is overwritten by its product. */
#define EDGEQ_TAPS_SUM(sum, first, second, third)                                                  \
    sum "muls " first ", r7\n adds r6, r6, " first "\n"                                            \
    "mov r5, r9\n muls r5, " second "\n adds r6, r6, r5\n"                                         \
    "mov r5, r10\n muls r5, " third "\n adds r6, r6, r5\n"                                         \
    "stmia r0!, {r6}\n"
#define EDGEQ_TAPS_NEXT                                                                            \
    "ldr r4, [sp]\n ldmia r4!, {r5, r6, r7}\n str r4, [sp]\n"                                      \
    "mov r9, r6\n mov r10, r7\n movs r7, r5\n"                                                     \
    "mov r4, r11\n ldmia r4!, {r1}\n mov r11, r4\n"                                                \
    "ldr r4, [sp, #8]\n adds r1, r1, r4\n"                                                         \
    "ldr r0, [sp, #4]\n"
/* At stride 1 each cell is loaded once: three outputs a turn. */
#define EDGEQ_TAPS_SLIDE(label, sum)                                                               \
    "ldrb r2, [r1]\n ldrb r3, [r1, #4]\n"                                                          \
    label ":\n"                                                                                    \
    "ldrb r4, [r1, #8]\n" EDGEQ_TAPS_SUM(sum, "r2", "r3", "r4")                                    \
    "ldrb r2, [r1, #12]\n" EDGEQ_TAPS_SUM(sum, "r3", "r4", "r2")                                   \
    "ldrb r3, [r1, #16]\n" EDGEQ_TAPS_SUM(sum, "r4", "r2", "r3")                                   \
    "adds r1, #12\n"                                                                               \
    "cmp r0, r12\n"                                                                                \
    "bne " label "b\n"
#define EDGEQ_TAPS_JUMP(label, sum)                                                                \
    label ":\n"                                                                                    \
    "ldrb r2, [r1]\n ldrb r3, [r1, #4]\n ldrb r4, [r1, #8]\n"                                      \
    "add r1, r8\n" EDGEQ_TAPS_SUM(sum, "r2", "r3", "r4")                                           \
    "cmp r0, r12\n"                                                                                \
    "bne " label "b\n"

__attribute__((naked, noinline)) static void
edgeq_sum_taps(__attribute__((unused)) const edgeq_taps *t) {
    __asm__(".syntax unified\n"
            "push {r4-r7, lr}\n"
            "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"
            "push {r4-r7}\n"
            "sub sp, #12\n"
            "ldmia r0!, {r1-r7}\n"
            "str r1, [sp, #4]\n mov r12, r2\n mov r11, r3\n mov lr, r4\n"
            "str r5, [sp]\n str r6, [sp, #8]\n mov r8, r7\n"
            "cmp r7, #4\n"
            "bne 5f\n" EDGEQ_TAPS_NEXT EDGEQ_TAPS_SLIDE("1", "movs r6, #0\n")
            "b 3f\n"
            "2:\n" EDGEQ_TAPS_NEXT EDGEQ_TAPS_SLIDE("4", "ldr r6, [r0]\n")
            "3:\n"
            "cmp r11, lr\n"
            "bne 2b\n"
            "b 9f\n"
            "5:\n" EDGEQ_TAPS_NEXT EDGEQ_TAPS_JUMP("6", "movs r6, #0\n")
            "b 8f\n"
            "7:\n" EDGEQ_TAPS_NEXT EDGEQ_TAPS_JUMP("4", "ldr r6, [r0]\n")
            "8:\n"
            "cmp r11, lr\n"
            "bne 7b\n"
            "9:\n"
            "add sp, #12\n"
            "pop {r4-r7}\n"
            "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
            "pop {r4-r7, pc}\n");
}
/* clang-format on */
#else
static void edgeq_sum_taps(const edgeq_taps *t) {
    const int32_t *w = t->weights;
    for (const int32_t *from = t->from; from != t->from_end; from++, w += 3) {
        const uint8_t *cell = t->lines + *from;
        for (int32_t *sum = t->sums; sum != t->sums_end; sum++, cell += t->stride) {
            int32_t before = from == t->from ? 0 : *sum;
            *sum = before + w[0] * cell[0] + w[1] * cell[4] + w[2] * cell[8];
        }
    }
}
#endif

#endif
