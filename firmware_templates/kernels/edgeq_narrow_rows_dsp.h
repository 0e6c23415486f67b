/* Weights of one or two bits on DSP cores: runs of rows, from the activations in scratch to
 * outputs. See edgeq_narrow_dsp.h, which includes this. */
#ifndef EDGEQ_NARROW_ROWS_DSP_H
#define EDGEQ_NARROW_ROWS_DSP_H

#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

#define EDGEQ_NARROW_BLOCK_STEPS (EDGEQ_NARROW_STEPS * EDGEQ_NARROW_PASSES)
#define EDGEQ_NARROW_BLOCK_WORDS (1 + 4 * EDGEQ_NARROW_BLOCK_STEPS + EDGEQ_NARROW_BRIM)

/* A layer at work. The assembly knows the order of the fields. */
typedef struct {
    edgeq_fully_connected_params p; /* of the run: weight, bias, ..., outputs left; zero_point
                                       doubled, and 1 to round */
    const uint32_t *x;              /* scratch */
    const uint32_t *end;            /* of the scratch */
    const uint32_t *block_end;      /* of the first block */
    uint32_t skipped_steps;         /* of the first pass */
    uint32_t add_a;                 /* twice what a row's sum lacks besides its bias: of rows a */
    uint32_t add_b;                 /* of rows b */
    int8_t *y;
} edgeq_narrow_layer;

#if EDGEQ_DSP_ASM

#define EDGEQ_NARROW_WEIGHT     "[r0]"
#define EDGEQ_NARROW_BIAS       "[r0, #4]"
#define EDGEQ_NARROW_MULTIPLIER "[r0, #8]"
#define EDGEQ_NARROW_SHIFT      "[r0, #12]"
#define EDGEQ_NARROW_LEFT       "[r0, #20]"
#define EDGEQ_NARROW_ZERO_POINT "[r0, #28]"
#define EDGEQ_NARROW_LOW        "[r0, #32]"
#define EDGEQ_NARROW_HIGH       "[r0, #36]"
#define EDGEQ_NARROW_X          "[r0, #40]"
#define EDGEQ_NARROW_END        "[r0, #44]"
#define EDGEQ_NARROW_SKIPPED    "[r0, #52]"
#define EDGEQ_NARROW_ADD_A      "[r0, #56]"
#define EDGEQ_NARROW_ADD_B      "[r0, #60]"
#define EDGEQ_NARROW_Y          "[r0, #64]"

EDGEQ_AT(edgeq_narrow_layer, p.weight, 0);
EDGEQ_AT(edgeq_narrow_layer, p.bias, 4);
EDGEQ_AT(edgeq_narrow_layer, p.multiplier, 8);
EDGEQ_AT(edgeq_narrow_layer, p.shift, 12);
EDGEQ_AT(edgeq_narrow_layer, p.outputs, 20);
EDGEQ_AT(edgeq_narrow_layer, p.output_zero_point, 28);
EDGEQ_AT(edgeq_narrow_layer, p.activation_min, 32);
EDGEQ_AT(edgeq_narrow_layer, p.activation_max, 36);
EDGEQ_AT(edgeq_narrow_layer, x, 40);
EDGEQ_AT(edgeq_narrow_layer, end, 44);
EDGEQ_AT(edgeq_narrow_layer, block_end, 48);
EDGEQ_AT(edgeq_narrow_layer, skipped_steps, 52);
EDGEQ_AT(edgeq_narrow_layer, add_a, 56);
EDGEQ_AT(edgeq_narrow_layer, add_b, 60);
EDGEQ_AT(edgeq_narrow_layer, y, 64);

#define EDGEQ_TEXT_(x) #x
#define EDGEQ_TEXT(x)  EDGEQ_TEXT_(x)

/* clang-format off */
/* r0 activations, r1 weights, r2 mask, r3 operand, r4-r7 accumulators of four row pairs, r8-r11
 * activations of a step, r12 and lr weight words: all there is. Loads stand together, since each
 * behind another takes one cycle; the last one of a pointer moves it. All encodings are wide on
 * word addresses: narrow ones would push the rest off the fetch unit's words. */
#define EDGEQ_NARROW_LOAD_X                                                                        \
    "ldr.w r9, [r0, #4]\n ldr.w r10, [r0, #8]\n ldr.w r11, [r0, #12]\n ldr.w r8, [r0], #16\n"
#define EDGEQ_NARROW_LOAD_TWO "ldr.w lr, [r1, #4]\n ldr.w r12, [r1], #8\n"
#define EDGEQ_NARROW_LOAD_ONE "ldr.w r12, [r1], #4\n"

#define EDGEQ_NARROW_FIRST(acc, w, x)                                                              \
    "and.w r3, r2, " w "\n"                                                                        \
    "smlad " acc ", r3, " x ", " acc "\n"
#define EDGEQ_NARROW_NEXT(acc, w, x, rotation)                                                     \
    "and.w r3, r2, " w ", ror #" #rotation "\n"                                                    \
    "smlad " acc ", r3, " x ", " acc "\n"

#if EDGEQ_NARROW_WORDS == 2

#define EDGEQ_NARROW_PAIR(acc, w)                                                                  \
    EDGEQ_NARROW_FIRST(acc, w, "r8")                                                               \
    EDGEQ_NARROW_NEXT(acc, w, "r9", 4)                                                             \
    EDGEQ_NARROW_NEXT(acc, w, "r10", 8)                                                            \
    EDGEQ_NARROW_NEXT(acc, w, "r11", 12)
/* 42 cycles for 64 products */
#define EDGEQ_NARROW_STEP_8                                                                        \
    EDGEQ_NARROW_LOAD_X EDGEQ_NARROW_LOAD_TWO                                                      \
    EDGEQ_NARROW_PAIR("r4", "r12") EDGEQ_NARROW_PAIR("r5", "lr")                                   \
    EDGEQ_NARROW_LOAD_TWO                                                                          \
    EDGEQ_NARROW_PAIR("r6", "r12") EDGEQ_NARROW_PAIR("r7", "lr")
/* 23 cycles for 32 products */
#define EDGEQ_NARROW_STEP_4                                                                        \
    EDGEQ_NARROW_LOAD_X EDGEQ_NARROW_LOAD_TWO                                                      \
    EDGEQ_NARROW_PAIR("r4", "r12") EDGEQ_NARROW_PAIR("r5", "lr")
#define EDGEQ_NARROW_STEP_8_BYTES "160"
#define EDGEQ_NARROW_STEP_4_BYTES "88"

#else

#define EDGEQ_NARROW_QUAD(acc, next, w)                                                            \
    EDGEQ_NARROW_FIRST(acc, w, "r8") EDGEQ_NARROW_NEXT(next, w, "r8", 2)                           \
    EDGEQ_NARROW_NEXT(acc, w, "r9", 4) EDGEQ_NARROW_NEXT(next, w, "r9", 6)                         \
    EDGEQ_NARROW_NEXT(acc, w, "r10", 8) EDGEQ_NARROW_NEXT(next, w, "r10", 10)                      \
    EDGEQ_NARROW_NEXT(acc, w, "r11", 12) EDGEQ_NARROW_NEXT(next, w, "r11", 14)
/* 39 cycles for 64 products */
#define EDGEQ_NARROW_STEP_8                                                                        \
    EDGEQ_NARROW_LOAD_X EDGEQ_NARROW_LOAD_TWO                                                      \
    EDGEQ_NARROW_QUAD("r4", "r5", "r12") EDGEQ_NARROW_QUAD("r6", "r7", "lr")
/* 22 cycles for 32 products */
#define EDGEQ_NARROW_STEP_4                                                                        \
    EDGEQ_NARROW_LOAD_X EDGEQ_NARROW_LOAD_ONE EDGEQ_NARROW_QUAD("r4", "r5", "r12")
#define EDGEQ_NARROW_STEP_8_BYTES "152"
#define EDGEQ_NARROW_STEP_4_BYTES "84"

#endif

/* clang-format on */
#if EDGEQ_NARROW_STEPS == 2
#define EDGEQ_NARROW_UNROLL(step) step step
#elif EDGEQ_NARROW_STEPS == 4
#define EDGEQ_NARROW_UNROLL(step) step step step step
#elif EDGEQ_NARROW_STEPS == 5
#define EDGEQ_NARROW_UNROLL(step) step step step step step
#elif EDGEQ_NARROW_STEPS == 6
#define EDGEQ_NARROW_UNROLL(step) step step step step step step
#elif EDGEQ_NARROW_STEPS == 8
#define EDGEQ_NARROW_UNROLL(step) step step step step step step step step
#endif

/* The run of 4 rows is one of many: half the code does for it. */
#if EDGEQ_NARROW_STEPS == 8
#define EDGEQ_NARROW_HALF_UNROLL(step) step step step step
#define EDGEQ_NARROW_HALF_SKIP         "and.w r3, r3, #3\n"
#else
#define EDGEQ_NARROW_HALF_UNROLL(step) EDGEQ_NARROW_UNROLL(step)
#define EDGEQ_NARROW_HALF_SKIP
#endif

/* clang-format off */
#if EDGEQ_NARROW_BRIM
#define EDGEQ_NARROW_LOAD_BRIM  "ldr.w r3, [r0], #4\n"
#define EDGEQ_NARROW_BELOW(acc) "bic.w " acc ", " acc ", r3\n"
#else
#define EDGEQ_NARROW_LOAD_BRIM
#define EDGEQ_NARROW_BELOW(acc)
#endif

/* Several passes a block: [sp, #36] holds where the block ends. */
#define EDGEQ_NARROW_NEXT_PASS(back)                                                               \
    "ldr.w r3, [sp, #36]\n"                                                                        \
    "cmp.w r0, r3\n"                                                                               \
    "bne.w " back "\n"                                                                             \
    "addw r3, r3, #(4 + 4 * " EDGEQ_TEXT(EDGEQ_NARROW_BRIM) " + 16 * " EDGEQ_TEXT(                 \
        EDGEQ_NARROW_STEPS) " * " EDGEQ_TEXT(EDGEQ_NARROW_PASSES) ")\n"                            \
    "str.w r3, [sp, #36]\n"
#define EDGEQ_NARROW_PASS_END(layer)                                                               \
    "ldr.w r9, [" layer ", #48]\n"                                                                 \
    "str.w r9, [sp, #36]\n"
#if EDGEQ_NARROW_PASSES > 1
#define EDGEQ_NARROW_PASS_RUN        EDGEQ_NARROW_PASS_END("r0")
#define EDGEQ_NARROW_PASS(back)      EDGEQ_NARROW_NEXT_PASS(back)
#define EDGEQ_NARROW_HALF_RUN
#define EDGEQ_NARROW_HALF_PASS(back) EDGEQ_NARROW_NEXT_PASS(back)
#else
#define EDGEQ_NARROW_PASS_RUN
#define EDGEQ_NARROW_PASS(back)
#if EDGEQ_NARROW_STEPS == 8
#define EDGEQ_NARROW_HALF_RUN        "ldr.w r9, [sp, #304]\n" EDGEQ_NARROW_PASS_END("r9")
#define EDGEQ_NARROW_HALF_PASS(back) EDGEQ_NARROW_NEXT_PASS(back)
#else
#define EDGEQ_NARROW_HALF_RUN
#define EDGEQ_NARROW_HALF_PASS(back)
#endif
#endif

#define EDGEQ_NARROW_ASR ", asr #" EDGEQ_TEXT(EDGEQ_NARROW_LANE) "\n"

/* A run's start: the first pass is entered behind the steps that a short first block lacks. */
#define EDGEQ_NARROW_ENTER(step_bytes, label)                                                      \
    "mov.w r12, #" step_bytes "\n"                                                                 \
    "adr.w lr, " label "\n"                                                                        \
    "mla r3, r3, r12, lr\n"                                                                        \
    "mov pc, r3\n"                                                                                 \
    ".balign 4\n"

/* An accumulator to the low and high of its pair. */
#define EDGEQ_NARROW_ADD(low, high, acc)                                                           \
    "add.w " low ", " low ", " acc "\n" EDGEQ_NARROW_BELOW(acc)                                    \
    "add.w " high ", " high ", " acc EDGEQ_NARROW_ASR
#define EDGEQ_NARROW_STORE_8                                                                       \
    "stm.w sp, {r8-r12, lr}\n"                                                                     \
    "str.w r4, [sp, #24]\n str.w r5, [sp, #28]\n"

/* Twice the sums of two rows, from low and high. */
#define EDGEQ_NARROW_ROWS(a, b)                                                                    \
    "sub.w " a ", " a ", " b ", lsl #" EDGEQ_TEXT(EDGEQ_NARROW_LANE) "\n"                          \
    "add.w " a ", r6, " a ", lsl #" EDGEQ_TEXT(EDGEQ_NARROW_SCALE) "\n"                           \
    "add.w " b ", r7, " b ", lsl #" EDGEQ_TEXT(EDGEQ_NARROW_SCALE) "\n"
#define EDGEQ_NARROW_LEAVE                                                                         \
    "ldr.w r3, [sp, #40]\n ldr.w r0, [sp, #304]\n"                                                 \
    "ldr.w r6, " EDGEQ_NARROW_ADD_A "\n ldr.w r7, " EDGEQ_NARROW_ADD_B "\n"

/* Two outputs: r1 bias, r2 multiplier, r3 shift, r4 y, r5 doubled sum, r6 zero point. SMMULR of
 * twice the accumulator is SRDHM, two shifts with a 1 between them round ties away from zero. */
#define EDGEQ_NARROW_REQUANTIZE_TWO                                                                \
    "ldr.w r9, [r5, #4]\n ldr.w r8, [r5], #8\n"                                                    \
    "ldr.w r12, [r1, #4]\n ldr.w r11, [r1], #8\n"                                                  \
    "ldrsb.w lr, [r3, #1]\n ldrsb r10, [r3], #2\n"                                                 \
    "add.w r8, r8, r11, lsl #1\n"                                                                  \
    "add.w r9, r9, r12, lsl #1\n"                                                                  \
    "ldr.w r12, [r2, #4]\n ldr.w r11, [r2], #8\n"                                                  \
    "mvn.w r10, r10\n"                                                                             \
    "mvn.w lr, lr\n"                                                                               \
    "smmulr r8, r8, r11\n"                                                                         \
    "smmulr r9, r9, r12\n"                                                                         \
    "add.w r8, r8, r8, asr #31\n"                                                                  \
    "add.w r9, r9, r9, asr #31\n"                                                                  \
    "asr.w r8, r8, r10\n"                                                                          \
    "asr.w r9, r9, lr\n"                                                                           \
    "add.w r8, r8, r6\n"                                                                           \
    "add.w r9, r9, r6\n"                                                                           \
    "ssat r8, #8, r8, asr #1\n"                                                                    \
    "ssat r9, #8, r9, asr #1\n"                                                                    \
    "strb.w r9, [r4, #1]\n"                                                                        \
    "strb r8, [r4], #2\n"

/* One, for any shift, in the low six bits, a left one done first: whole, with the zero point.
 * Twice the product, less 1 where it is negative, rounds by the 1 of the doubled zero point. */
#define EDGEQ_NARROW_REQUANTIZE_ANY                                                                \
    "ldr.w r11, [r5], #4\n ldr.w r12, [r1], #4\n"                                                  \
    "ldr.w lr, [r2], #4\n ldrsb r10, [r3], #1\n"                                                 \
    "add.w r11, r11, r12, lsl #1\n"                                                                \
    "sbfx r10, r10, #0, #6\n"                                                                      \
    "bic.w r12, r10, r10, asr #31\n"                                                               \
    "lsl.w r11, r11, r12\n"                                                                        \
    "sub.w r10, r12, r10\n"                                                                        \
    "smmulr r11, r11, lr\n"                                                                        \
    "asr.w r12, r11, #31\n"                                                                        \
    "add.w r11, r12, r11, lsl #1\n"                                                                \
    "asr.w r11, r11, r10\n"                                                                        \
    "add r11, r6\n"                                                                                \
    "asr.w r11, r11, #1\n"

/* Sums of up to 64 rows, then their outputs, so that each loop has the code cache to itself. Runs of
 * 8 rows, at last perhaps one of 4. On the stack: 8 sums (low and high of each pair), the end of the
 * scratch, the end of a block, where a run's sums go, rows to go, 64 sums, the layer, the caller's
 * r7. After the last block the sums go on from their registers. */
static inline void edgeq_narrow_outputs(edgeq_narrow_layer *layer) {
    register edgeq_narrow_layer *r0 __asm__("r0") = layer;
    __asm__ volatile(
        EDGEQ_KEEP_R9
        "push {r0, r7}\n"
        "sub sp, sp, #304\n"
        "ldr.w r8, " EDGEQ_NARROW_END "\n"
        "str.w r8, [sp, #32]\n"
        "2:\n"
        "ldr.w r1, " EDGEQ_NARROW_WEIGHT "\n ldr.w r12, " EDGEQ_NARROW_LEFT "\n"
        "movw r2, #(" EDGEQ_TEXT(EDGEQ_NARROW_MASK) " & 0xFFFF)\n"
        "movt r2, #((" EDGEQ_TEXT(EDGEQ_NARROW_MASK) " >> 16) & 0xFFFF)\n"
        "add.w r4, sp, #48\n"
        "str.w r4, [sp, #40]\n"
        "cmp.w r12, #64\n"
        "it gt\n"
        "movgt.w r12, #64\n"
        "10:\n"
        "str.w r12, [sp, #44]\n" EDGEQ_NARROW_PASS_RUN
        "ldr.w r3, " EDGEQ_NARROW_SKIPPED "\n ldr.w r0, " EDGEQ_NARROW_X "\n"
        "cmp.w r12, #4\n"
        "mov.w r4, #0\n mov.w r5, r4\n mov.w r6, r4\n mov.w r7, r4\n"
        "stm.w sp, {r4-r7}\n"
        "ble.w 5f\n"
        "add.w r8, sp, #16\n"
        "stm.w r8, {r4-r7}\n"
        "ldr.w r4, [r0], #4\n"
        "mov.w r5, r4\n mov.w r6, r4\n mov.w r7, r4\n"
        EDGEQ_NARROW_ENTER(EDGEQ_NARROW_STEP_8_BYTES, "4f")
        "3:\n" EDGEQ_NARROW_STORE_8
        "ldr.w r4, [r0], #4\n"
        "mov.w r5, r4\n mov.w r6, r4\n mov.w r7, r4\n"
        "4:\n"
        EDGEQ_NARROW_UNROLL(EDGEQ_NARROW_STEP_8)
        EDGEQ_NARROW_PASS("4b")
        "ldm.w sp, {r8-r12, lr}\n" EDGEQ_NARROW_LOAD_BRIM
        EDGEQ_NARROW_ADD("r8", "r9", "r4")
        EDGEQ_NARROW_ADD("r10", "r11", "r5")
        EDGEQ_NARROW_ADD("r12", "lr", "r6")
        "ldr.w r4, [sp, #24]\n ldr.w r5, [sp, #28]\n ldr.w r6, [sp, #32]\n"
        EDGEQ_NARROW_ADD("r4", "r5", "r7")
        "cmp.w r0, r6\n"
        "bne.w 3b\n"
        EDGEQ_NARROW_LEAVE
        EDGEQ_NARROW_ROWS("r8", "r9") EDGEQ_NARROW_ROWS("r10", "r11")
        EDGEQ_NARROW_ROWS("r12", "lr") EDGEQ_NARROW_ROWS("r4", "r5")
        "stm.w r3!, {r8-r12, lr}\n"
        "str.w r4, [r3], #4\n str.w r5, [r3], #4\n"
        "ldr.w r12, [sp, #44]\n"
        "str.w r3, [sp, #40]\n"
        "subs.w r12, r12, #8\n"
        "bgt.w 10b\n"
        "b.w 8f\n"
        "5:\n" EDGEQ_NARROW_HALF_RUN
        "ldr.w r4, [r0], #4\n" EDGEQ_NARROW_HALF_SKIP
        "mov.w r5, r4\n"
        EDGEQ_NARROW_ENTER(EDGEQ_NARROW_STEP_4_BYTES, "7f")
        "6:\n"
        "stm.w sp, {r8-r11}\n"
        "ldr.w r4, [r0], #4\n"
        "mov.w r5, r4\n"
        "7:\n"
        EDGEQ_NARROW_HALF_UNROLL(EDGEQ_NARROW_STEP_4)
        EDGEQ_NARROW_HALF_PASS("7b")
        "ldm.w sp, {r8-r11}\n"
        "ldr.w r12, [sp, #32]\n" EDGEQ_NARROW_LOAD_BRIM
        EDGEQ_NARROW_ADD("r8", "r9", "r4")
        EDGEQ_NARROW_ADD("r10", "r11", "r5")
        "cmp.w r0, r12\n"
        "bne.w 6b\n"
        EDGEQ_NARROW_LEAVE
        EDGEQ_NARROW_ROWS("r8", "r9") EDGEQ_NARROW_ROWS("r10", "r11")
        "stm.w r3, {r8-r11}\n"
        "8:\n" /* r7: behind the last sum; -128 and 127 are SSAT's own bounds,
              * a negative byte tells of right shifts alone */
        "str.w r1, " EDGEQ_NARROW_WEIGHT "\n"
        "ldr.w r1, " EDGEQ_NARROW_BIAS "\n ldr.w r2, " EDGEQ_NARROW_MULTIPLIER "\n"
        "ldr.w r3, " EDGEQ_NARROW_SHIFT "\n ldr.w r4, " EDGEQ_NARROW_Y "\n"
        "ldrsb.w r11, [r3, #0]\n"
        "ldr.w r6, " EDGEQ_NARROW_ZERO_POINT "\n ldr.w r8, " EDGEQ_NARROW_LOW "\n"
        "ldr.w r9, " EDGEQ_NARROW_HIGH "\n ldr.w r10, " EDGEQ_NARROW_LEFT "\n"
        "add.w r5, sp, #48\n"
        "mov.w r7, r10\n"
        "subs.w r10, r10, #64\n"
        "it gt\n"
        "movgt.w r7, #64\n"
        "add.w r7, r5, r7, lsl #2\n"
        "str.w r10, " EDGEQ_NARROW_LEFT "\n"
        "sub.w r12, r9, r8\n"
        "add.w r12, r12, r11, lsr #31\n"
        "cmp.w r12, #256\n"
        "bne.w 0f\n" /* r0: behind the last whole two */
        "sub.w r0, r7, r5\n"
        "bics.w r0, r0, #7\n"
        "beq.w 11f\n"
        "add.w r0, r0, r5\n"
        ".balign 4\n"
        "1:\n"
        EDGEQ_NARROW_REQUANTIZE_TWO
        "cmp.w r5, r0\n"
        "bne.w 1b\n"
        "11:\n"
        "ldr.w r0, [sp, #304]\n"
        "ldr.w r8, " EDGEQ_NARROW_LOW "\n ldr.w r9, " EDGEQ_NARROW_HIGH "\n"
        "cmp.w r5, r7\n"
        "beq.w 9f\n"
        "0:\n"
        EDGEQ_NARROW_REQUANTIZE_ANY
        "cmp r11, r8\n"
        "it lt\n"
        "movlt r11, r8\n"
        "cmp r11, r9\n"
        "it gt\n"
        "movgt r11, r9\n"
        "strb r11, [r4], #1\n"
        "cmp r5, r7\n"
        "bne 0b\n"
        "9:\n"
        "ldr r5, " EDGEQ_NARROW_LEFT "\n"
        "str r1, " EDGEQ_NARROW_BIAS "\n str r2, " EDGEQ_NARROW_MULTIPLIER "\n"
        "str r3, " EDGEQ_NARROW_SHIFT "\n str r4, " EDGEQ_NARROW_Y "\n"
        "cmp r5, #0\n"
        "bgt.w 2b\n"
        "add sp, sp, #304\n"
        "pop {r0, r7}\n"
        EDGEQ_BACK_R9
        : "+r"(r0)
        :
        : "r1", "r2", "r3", "r4", "r5", "r6", "r8", EDGEQ_USES_R9 "r10", "r11", "r12", "lr", "cc",
          "memory");
}
/* clang-format on */

#else

static inline uint32_t edgeq_narrow_pair(const uint32_t *x, uint32_t word, uint32_t first,
                                         uint32_t acc) {
    for (uint32_t k = 0; k < 4; k++) {
        uint32_t rotation = first + 4 * k;
        uint32_t turned = rotation == 0 ? word : (word >> rotation) | (word << (32 - rotation));
        acc = (uint32_t)edgeq_smlad(turned & EDGEQ_NARROW_MASK, x[k], (int32_t)acc);
    }
    return acc;
}

/* The assembly in C: the same sums in the same order. */
static inline void edgeq_narrow_sums(edgeq_narrow_layer *layer, uint32_t pairs, uint32_t *sums) {
    const uint32_t *weight = layer->p.weight;
    const uint32_t *x = layer->x;
    const uint32_t *block_end = layer->block_end;
    const uint32_t pairs_of_word = 2 / EDGEQ_NARROW_WORDS;
    for (uint32_t i = 0; i < 2 * pairs; i++) {
        sums[i] = 0;
    }
    while (x != layer->end) {
        uint32_t acc[4] = {x[0], x[0], x[0], x[0]};
        for (x++; x != block_end; x += 4) {
            for (uint32_t i = 0; i < pairs; i++) {
                uint32_t place = i % pairs_of_word;
                acc[i] = edgeq_narrow_pair(x, *weight, 2 * place, acc[i]);
                weight += place == pairs_of_word - 1;
            }
        }
        uint32_t above = EDGEQ_NARROW_BRIM ? *x++ : 0;
        for (uint32_t i = 0; i < pairs; i++) {
            sums[2 * i] += acc[i];
            sums[2 * i + 1] += (uint32_t)((int32_t)(acc[i] & ~above) >> EDGEQ_NARROW_LANE);
        }
        block_end += x != layer->end ? EDGEQ_NARROW_BLOCK_WORDS : 0;
    }
    layer->p.weight = weight;
    for (uint32_t i = 0; i < 2 * pairs; i += 2) {
        uint32_t b = sums[i + 1];
        uint32_t a = sums[i] - (b << EDGEQ_NARROW_LANE);
        sums[i] = 2 * EDGEQ_NARROW_SCALE * a + layer->add_a;
        sums[i + 1] = 2 * EDGEQ_NARROW_SCALE * b + layer->add_b;
    }
}

static inline void edgeq_narrow_outputs(edgeq_narrow_layer *layer) {
    edgeq_fully_connected_params *p = &layer->p;
    for (; p->outputs > 0; p->outputs -= 8) {
        uint32_t sums[8];
        edgeq_narrow_sums(layer, p->outputs > 4 ? 4 : 2, sums);
        for (int32_t i = 0; i < 8 && i < p->outputs; i++) {
            int32_t doubled = (int32_t)(2 * (uint32_t)*p->bias++ + sums[i]);
            int32_t shift = (int32_t)((uint32_t)(int32_t)*p->shift++ << 26) >> 26;
            int32_t left = shift > 0 ? shift : 0;
            int32_t right = left - shift;
            int32_t v = edgeq_smmulr((int32_t)((uint32_t)doubled << left), *p->multiplier++);
            v = (v + (shift < 0 ? v >> 31 : 0) + (int32_t)((1u << right) >> 1)) >> right;
            v += p->output_zero_point >> 1;
            *layer->y++ = (int8_t)edgeq_clamp(v, p->activation_min, p->activation_max);
        }
    }
}

#endif

#endif
