/* Convolutions on DSP cores: activations of two pixels to 16-bit halves. */
#ifndef EDGEQ_CONV_2D_PATCHES_DSP_H
#define EDGEQ_CONV_2D_PATCHES_DSP_H

#include "edgeq_dsp.h"

/* GCC takes a naked function for one that reads and writes nothing. */
#if defined(EDGEQ_PORTABLE)
#define EDGEQ_READS(from) ((void)(from))
#else
#define EDGEQ_READS(from) __asm__ volatile("" : : "r"(from) : "memory")
#endif

#define EDGEQ_UNUSED __attribute__((unused))
/* The walk over pixels is long and its turns few. */
#ifdef __clang__
#define EDGEQ_SMALL __attribute__((minsize))
#else
#define EDGEQ_SMALL __attribute__((cold))
#endif

/* What edgeq_expand makes of two runs of columns: `count` times `groups` groups, and after each
 * time both sources and the target move on by a gap in bytes. */
typedef struct {
    int32_t count;
    int32_t from_gap;
    int32_t to_gap;
    int32_t *sums; /* of the activations of each time, added to */
    int32_t sums_gap;
} edgeq_expansion;

#define EDGEQ_ONES 0x00010001u
#if EDGEQ_DSP_ASM
EDGEQ_AT(edgeq_expansion, count, 0);
EDGEQ_AT(edgeq_expansion, from_gap, 4);
EDGEQ_AT(edgeq_expansion, to_gap, 8);
EDGEQ_AT(edgeq_expansion, sums, 12);
EDGEQ_AT(edgeq_expansion, sums_gap, 16);

#if EDGEQ_CONV_SUMS
#define EDGEQ_SUM_BEGIN                                                                            \
    "ldr r5, [r4, #12]\n"                                                                          \
    "push {r4, r5}\n"                                                                              \
    "mov.w r12, #0x00010001\n"
#define EDGEQ_SUM(sum) "smlad " sum ", r8, r12, " sum "\n"
#define EDGEQ_SUM_CLEAR                                                                            \
    "mov.w r10, #0\n"                                                                              \
    "mov.w r11, #0\n"
#define EDGEQ_EXPAND_NEXT                                                                          \
    "ldr r4, [sp, #0]\n"                                                                           \
    "ldr r5, [sp, #4]\n"                                                                           \
    "ldr r6, [r4, #4]\n"                                                                           \
    "ldr r7, [r4, #8]\n"                                                                           \
    "ldr r4, [r4, #16]\n"                                                                          \
    "ldr r8, [r5, #0]\n"                                                                           \
    "ldr r9, [r5, #4]\n"                                                                           \
    "add r8, r8, r10\n"                                                                            \
    "add r9, r9, r11\n"                                                                            \
    "str r8, [r5, #0]\n"                                                                           \
    "str r9, [r5, #4]\n"                                                                           \
    "adds r5, r5, r4\n"                                                                            \
    "str r5, [sp, #4]\n"                                                                           \
    "adds r0, r0, r6\n"                                                                            \
    "adds r1, r1, r6\n"                                                                            \
    "adds r2, r2, r7\n"
#define EDGEQ_SUM_END "add sp, sp, #8\n"
#else
#define EDGEQ_SUM_BEGIN                                                                            \
    "ldr r10, [r4, #4]\n"                                                                          \
    "ldr r11, [r4, #8]\n"
#define EDGEQ_SUM(sum)  ""
#define EDGEQ_SUM_CLEAR ""
#define EDGEQ_SUM_END   ""
#define EDGEQ_EXPAND_NEXT                                                                          \
    "add r0, r0, r10\n"                                                                            \
    "add r1, r1, r10\n"                                                                            \
    "add r2, r2, r11\n"
#endif
#define EDGEQ_EXTEND(from, turn, sum, to)                                                          \
    "sxtb16 r8, " from turn "\n" EDGEQ_SUM(sum) "str r8, " to "\n"
/* Two groups a turn, a last single one in half a turn if code is dear: four pipelined loads, stores
 * that nothing waits for. */
__attribute__((naked, noinline)) static void
edgeq_expand_words(EDGEQ_UNUSED const int8_t *a, EDGEQ_UNUSED const int8_t *b,
                   EDGEQ_UNUSED uint32_t *to, EDGEQ_UNUSED int32_t groups,
                   EDGEQ_UNUSED const edgeq_expansion *e) {
    /* clang-format off */
    __asm__(
        "push {r4-r11, lr}\n"
        "ldr r4, [sp, #36]\n"
        "ldr lr, [r4, #0]\n" EDGEQ_SUM_BEGIN
        ".balign 4\n"
        "1:\n" EDGEQ_SUM_CLEAR
        "subs.w r9, r3, #2\n"
        "blt.w 3f\n"
        "2:\n"
        "ldr.w r6, [r0, #4]\n"
        "ldr.w r7, [r1, #4]\n"
        "ldr.w r5, [r1], #8\n"
        "ldr.w r4, [r0], #8\n"
        EDGEQ_EXTEND("r4", "", "r10", "[r2], #32")
        EDGEQ_EXTEND("r5", "", "r11", "[r2, #-28]")
        EDGEQ_EXTEND("r4", ", ror #8", "r10", "[r2, #-24]")
        EDGEQ_EXTEND("r5", ", ror #8", "r11", "[r2, #-20]")
        "5:\n"
        EDGEQ_EXTEND("r6", "", "r10", "[r2, #-16]")
        EDGEQ_EXTEND("r7", "", "r11", "[r2, #-12]")
        EDGEQ_EXTEND("r6", ", ror #8", "r10", "[r2, #-8]")
        EDGEQ_EXTEND("r7", ", ror #8", "r11", "[r2, #-4]")
        "subs.w r9, r9, #2\n"
        "bge.w 2b\n"
        "3:\n"
        "cmp.w r9, #-1\n"
        "bne.w 4f\n"
#if EDGEQ_CONV_SUMS
        "ldr.w r7, [r1], #4\n"
        "ldr.w r6, [r0], #4\n"
        "adds r2, r2, #16\n"
        "b 5b\n"
#else
        "ldr.w r5, [r1], #4\n"
        "ldr.w r4, [r0], #4\n"
        EDGEQ_EXTEND("r4", "", "r10", "[r2], #16")
        EDGEQ_EXTEND("r5", "", "r11", "[r2, #-12]")
        EDGEQ_EXTEND("r4", ", ror #8", "r10", "[r2, #-8]")
        EDGEQ_EXTEND("r5", ", ror #8", "r11", "[r2, #-4]")
#endif
        ".balign 4\n"
        "4:\n" EDGEQ_EXPAND_NEXT
        "subs.w lr, lr, #1\n"
        "bne.w 1b\n" EDGEQ_SUM_END
        "pop {r4-r11, pc}\n");
    /* clang-format on */
}

__attribute__((always_inline)) static inline void edgeq_expand(const int8_t *a, const int8_t *b,
                                                               uint32_t *to, int32_t groups,
                                                               const edgeq_expansion *e) {
    EDGEQ_READS(e);
    edgeq_expand_words(a, b, to, groups, e);
    EDGEQ_READS(e);
}
#else
static inline void edgeq_expand(const int8_t *a, const int8_t *b, uint32_t *to, int32_t groups,
                                const edgeq_expansion *e) {
    for (int32_t i = 0; i < e->count; i++) {
        const int8_t *from[2] = {a + i * (4 * groups + e->from_gap),
                                 b + i * (4 * groups + e->from_gap)};
        for (int32_t j = 0; j < 2 * groups; j++, to += 2) {
            for (int32_t k = 0; k < 2; k++) {
                uint32_t word = edgeq_load_word(from[k] + 4 * (j >> 1));
                to[k] = (j & 1) != 0 ? edgeq_sxtb16_ror8(word) : edgeq_sxtb16(word);
                if (EDGEQ_CONV_SUMS) {
                    int32_t *sum = e->sums + i * (e->sums_gap >> 2) + k;
                    *sum = edgeq_smlad(to[k], EDGEQ_ONES, *sum);
                }
            }
        }
        to += e->to_gap >> 2;
    }
}
#endif

#endif
