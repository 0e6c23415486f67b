/* Fully connected layers whose weights take one or two bits: four products in every SMLAD.
 *
 * A 16-bit operand carries two rows. Row a's code sits in the lowest bits, unsigned, and row b's
 * in the highest, two's complement: masking a rotated word leaves
 *
 *     half = a + b * 2^LANE        SMLAD adds x * a + (x * b << LANE), for two columns at once
 *
 * LANE is 14 for two bits (mask C003C003), 15 for one (mask 80018001). The accumulator S then is
 * s_a + s_b * 2^LANE. It starts at 2^(LANE - 1) minus the centre of s_a, which is a constant of the
 * block's activations. A block is so short that s_a, seen from its centre, stays inside
 * -2^(LANE - 1) .. 2^(LANE - 1) - 1 for any activations and weights (each source says why); hence
 *
 *     S >> LANE == s_b      exactly, and what is left of S is s_a less its centre
 *
 * Over all blocks, low = sum S and high = sum (S >> LANE) give both rows; 32-bit sums may wrap:
 *
 *     sum x * b = high      sum x * a = low - (high << LANE) - sum of starts
 *
 * Activations in scratch, as signed halves: for each block its start (one word), then for each step
 * of 8 columns four words: (c0, c2) (c1, c3) (c4, c6) (c5, c7), what SXTB16 makes of 4 bytes.
 * The columns behind the last are zero. Only the first block may be short.
 *
 * EDGEQ_NARROW_BRIM: a block of ternary weights may be so long that s_a reaches 2^(LANE - 1) once,
 * when all its activations are -128 and all its weights -1. S >> LANE is s_b + 1 then. But s_b, a
 * sum of -128s, is a multiple of 128: a word behind the block's activations masks these bits of S
 * where all of them are -128, and none elsewhere.
 *
 * Weights: rows are padded to a multiple of 4, columns to one of 8. A run is 8 rows (the last one 4
 * if their number asks for it): for each step, the words of rows 0-3, then those of rows 4-7.
 *
 * An including source defines, before the include:
 *   EDGEQ_NARROW_LANE            LANE
 *   EDGEQ_NARROW_MASK            the mask
 *   EDGEQ_NARROW_STEPS           steps in one pass of the unrolled loop
 *   EDGEQ_NARROW_PASSES          passes in a block
 *   EDGEQ_NARROW_WORDS           words of 4 rows in a step: 2, or 1 when a word holds 4 rows
 *   EDGEQ_NARROW_SCALE, _A, _B   w = SCALE * code + A for row a, SCALE * code + B for row b;
 *                                -A / SCALE is the centre of row a's codes
 *   EDGEQ_NARROW_BRIM            1 when blocks need that word, else 0
 */
#ifndef EDGEQ_NARROW_DSP_H
#define EDGEQ_NARROW_DSP_H

#include "edgeq_kernels_dsp.h"

/* The core runs assembly from end to end; the wrappers are for its twin in C. */
#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__)
#define EDGEQ_NARROW_ASM 1
#else
#define EDGEQ_NARROW_ASM 0
#include "edgeq_dsp.h"
#include "edgeq_requantize.h"
#endif

#define EDGEQ_NARROW_BLOCK_STEPS (EDGEQ_NARROW_STEPS * EDGEQ_NARROW_PASSES)
#define EDGEQ_NARROW_BLOCK_WORDS (1 + 4 * EDGEQ_NARROW_BLOCK_STEPS + EDGEQ_NARROW_BRIM)

/* A layer at work. The assembly reads the fields at the offsets 0, 4, ... */
typedef struct {
    const uint32_t *weight;    /* 0: of the run */
    const uint32_t *x;         /* 4: scratch */
    const uint32_t *end;       /* 8: of the scratch */
    const uint32_t *block_end; /* 12: of the first block */
    uint32_t skipped_steps;    /* 16: of the first pass */
    uint32_t add_a;            /* 20: twice what a row's sum lacks besides its bias: of rows a */
    uint32_t add_b;            /* 24: of rows b */
    const int32_t *bias;       /* 28: of the run, and so on */
    const int32_t *multiplier; /* 32 */
    const int8_t *shift;       /* 36 */
    int8_t *y;                 /* 40 */
    int32_t zero_point;        /* 44: twice the output's, and 1 to round */
    int32_t low;               /* 48 */
    int32_t high;              /* 52 */
    int32_t left;              /* 56: rows from the run on */
} edgeq_narrow_layer;

#if EDGEQ_NARROW_ASM

/* Keeps a compiler from peeling and unrolling loops that run once a layer. */
#define EDGEQ_NARROW_OPAQUE(x) __asm__("" : "+r"(x))

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
#if EDGEQ_NARROW_STEPS == 5
#define EDGEQ_NARROW_UNROLL(step) step step step step step
#elif EDGEQ_NARROW_STEPS == 6
#define EDGEQ_NARROW_UNROLL(step) step step step step step step
#elif EDGEQ_NARROW_STEPS == 8
#define EDGEQ_NARROW_UNROLL(step) step step step step step step step step
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
#if EDGEQ_NARROW_PASSES > 1
#define EDGEQ_NARROW_PASS(back)                                                                    \
    "ldr.w r3, [sp, #36]\n"                                                                        \
    "cmp.w r0, r3\n"                                                                               \
    "bne.w " back "\n"                                                                             \
    "addw r3, r3, #(4 + 4 * " EDGEQ_TEXT(EDGEQ_NARROW_BRIM) " + 16 * " EDGEQ_TEXT(                 \
        EDGEQ_NARROW_STEPS) " * " EDGEQ_TEXT(EDGEQ_NARROW_PASSES) ")\n"                            \
    "str.w r3, [sp, #36]\n"
#else
#define EDGEQ_NARROW_PASS(back)
#endif

#define EDGEQ_NARROW_ASR ", asr #" EDGEQ_TEXT(EDGEQ_NARROW_LANE) "\n"

/* A run's start: the first pass is entered behind the steps that a short first block lacks. */
#define EDGEQ_NARROW_ENTER(step_bytes, label)                                                      \
    "mov.w r12, #" step_bytes "\n"                                                                 \
    "adr.w lr, " label "\n"                                                                        \
    "mla r3, r3, r12, lr\n"                                                                        \
    "mov pc, r3\n"                                                                                 \
    ".balign 4\n"

/* Twice the sums of two rows, from low and high. */
#define EDGEQ_NARROW_ROWS(a, b)                                                                    \
    "sub.w " a ", " a ", " b ", lsl #" EDGEQ_TEXT(EDGEQ_NARROW_LANE) "\n"                          \
    "add.w " a ", r10, " a ", lsl #" EDGEQ_TEXT(EDGEQ_NARROW_SCALE) "\n"                           \
    "add.w " b ", r11, " b ", lsl #" EDGEQ_TEXT(EDGEQ_NARROW_SCALE) "\n"
#define EDGEQ_NARROW_LEAVE                                                                         \
    "ldr.w r0, [sp, #40]\n"                                                                        \
    "ldr.w r10, [r0, #20]\n ldr.w r11, [r0, #24]\n"                                                \
    "str.w r1, [r0]\n"

/* One output: r1 bias, r2 multiplier, r3 shift, r4 y, r5 doubled sum, r6 zero point. SMMULR of
 * twice the accumulator is SRDHM, two shifts with a 1 between them round ties away from zero; the
 * second one, by 1, is left to what follows. */
#define EDGEQ_NARROW_REQUANTIZE                                                                    \
    "ldr.w r11, [r5], #4\n ldr.w r12, [r1], #4\n"                                                  \
    "ldr.w lr, [r2], #4\n ldrsb.w r10, [r3], #1\n"                                                 \
    "add.w r11, r11, r12, lsl #1\n"                                                                \
    "smmulr r11, r11, lr\n"                                                                        \
    "mvn.w r10, r10\n"                                                                             \
    "add.w r11, r11, r11, asr #31\n"                                                               \
    "asr.w r11, r11, r10\n"                                                                        \
    "add.w r11, r11, r6\n"

/* Runs of 8 rows, at last perhaps one of 4. On the stack: 8 sums (low and high of each pair, then
 * of each row), the end of the scratch, the end of a block, the layer, the caller's r7. Adding up
 * accumulators: loads together, a store behind a load hides that load's second cycle. */
static inline void edgeq_narrow_outputs(edgeq_narrow_layer *layer) {
    register edgeq_narrow_layer *r0 __asm__("r0") = layer;
    __asm__ volatile(
        "push {r0, r7}\n"
        "sub sp, sp, #40\n"
        "ldr.w r8, [r0, #8]\n"
        "str.w r8, [sp, #32]\n"
        "2:\n"
        "ldr.w r1, [r0]\n ldr.w r9, [r0, #12]\n"
        "ldr.w r3, [r0, #16]\n ldr.w r12, [r0, #56]\n ldr.w r0, [r0, #4]\n"
        "str.w r9, [sp, #36]\n"
        "cmp.w r12, #4\n"
        "movw r2, #(" EDGEQ_TEXT(EDGEQ_NARROW_MASK) " & 0xFFFF)\n"
        "movt r2, #((" EDGEQ_TEXT(EDGEQ_NARROW_MASK) " >> 16) & 0xFFFF)\n"
        "mov.w r4, #0\n mov.w r5, r4\n mov.w r6, r4\n mov.w r7, r4\n"
        "stm.w sp, {r4-r7}\n"
        "ble.w 5f\n"
        "add.w r8, sp, #16\n"
        "stm.w r8, {r4-r7}\n"
        "ldr.w r4, [r0], #4\n"
        "mov.w r5, r4\n mov.w r6, r4\n mov.w r7, r4\n"
        EDGEQ_NARROW_ENTER(EDGEQ_NARROW_STEP_8_BYTES, "4f")
        "3: ldr.w r4, [r0], #4\n"
        "mov.w r5, r4\n mov.w r6, r4\n mov.w r7, r4\n"
        "4:\n"
        EDGEQ_NARROW_UNROLL(EDGEQ_NARROW_STEP_8)
        EDGEQ_NARROW_PASS("4b")
        "ldr.w r8, [sp]\n ldr.w r9, [sp, #4]\n"
        "ldr.w r10, [sp, #8]\n ldr.w r11, [sp, #12]\n"
        "ldr.w r12, [sp, #16]\n ldr.w lr, [sp, #20]\n" EDGEQ_NARROW_LOAD_BRIM
        "add.w r8, r8, r4\n" EDGEQ_NARROW_BELOW("r4")
        "add.w r9, r9, r4" EDGEQ_NARROW_ASR
        "str.w r8, [sp]\n str.w r9, [sp, #4]\n"
        "add.w r10, r10, r5\n" EDGEQ_NARROW_BELOW("r5")
        "add.w r11, r11, r5" EDGEQ_NARROW_ASR
        "add.w r12, r12, r6\n" EDGEQ_NARROW_BELOW("r6")
        "add.w lr, lr, r6" EDGEQ_NARROW_ASR
        "ldr.w r8, [sp, #24]\n ldr.w r9, [sp, #28]\n ldr.w r4, [sp, #32]\n"
        "str.w r10, [sp, #8]\n str.w r11, [sp, #12]\n"
        "str.w r12, [sp, #16]\n str.w lr, [sp, #20]\n"
        "add.w r8, r8, r7\n" EDGEQ_NARROW_BELOW("r7")
        "add.w r9, r9, r7" EDGEQ_NARROW_ASR
        "str.w r8, [sp, #24]\n str.w r9, [sp, #28]\n"
        "cmp.w r0, r4\n"
        "bne.w 3b\n"
        EDGEQ_NARROW_LEAVE
        "ldm.w sp, {r1-r8}\n"
        EDGEQ_NARROW_ROWS("r1", "r2") EDGEQ_NARROW_ROWS("r3", "r4")
        EDGEQ_NARROW_ROWS("r5", "r6") EDGEQ_NARROW_ROWS("r7", "r8")
        "stm.w sp, {r1-r8}\n"
        "b.w 8f\n"
        "5: ldr.w r4, [r0], #4\n"
        "mov.w r5, r4\n"
        EDGEQ_NARROW_ENTER(EDGEQ_NARROW_STEP_4_BYTES, "7f")
        "6: ldr.w r4, [r0], #4\n"
        "mov.w r5, r4\n"
        "7:\n"
        EDGEQ_NARROW_UNROLL(EDGEQ_NARROW_STEP_4)
        EDGEQ_NARROW_PASS("7b")
        "ldr.w r8, [sp]\n ldr.w r9, [sp, #4]\n"
        "ldr.w r10, [sp, #8]\n ldr.w r11, [sp, #12]\n"
        "ldr.w r12, [sp, #32]\n" EDGEQ_NARROW_LOAD_BRIM
        "add.w r8, r8, r4\n" EDGEQ_NARROW_BELOW("r4")
        "add.w r9, r9, r4" EDGEQ_NARROW_ASR
        "add.w r10, r10, r5\n" EDGEQ_NARROW_BELOW("r5")
        "add.w r11, r11, r5" EDGEQ_NARROW_ASR
        "str.w r8, [sp]\n str.w r9, [sp, #4]\n"
        "str.w r10, [sp, #8]\n str.w r11, [sp, #12]\n"
        "cmp.w r0, r12\n"
        "bne.w 6b\n"
        EDGEQ_NARROW_LEAVE
        "ldm.w sp, {r1-r4}\n"
        EDGEQ_NARROW_ROWS("r1", "r2") EDGEQ_NARROW_ROWS("r3", "r4")
        "stm.w sp, {r1-r4}\n"
        "8:\n" /* r7: behind the run's last sum; -128 and 127 are SSAT's own bounds */
        "add.w r12, r0, #28\n"
        "ldm.w r12, {r1, r2, r3, r4, r6, r8, r9, r10}\n"
        "mov.w r5, sp\n"
        "mov.w r7, r10\n"
        "cmp.w r10, #8\n"
        "it gt\n"
        "movgt.w r7, #8\n"
        "add.w r7, r5, r7, lsl #2\n"
        "sub.w r10, r10, #8\n"
        "str.w r10, [r0, #56]\n"
        "sub.w r12, r9, r8\n"
        "cmp.w r12, #255\n"
        "beq.w 1f\n"
        ".balign 4\n"
        "0:\n"
        EDGEQ_NARROW_REQUANTIZE
        "asr.w r11, r11, #1\n"
        "cmp.w r11, r8\n"
        "it lt\n"
        "movlt r11, r8\n"
        "cmp.w r11, r9\n"
        "it gt\n"
        "movgt r11, r9\n"
        "strb.w r11, [r4], #1\n"
        "cmp.w r5, r7\n"
        "bne.w 0b\n"
        "b.w 9f\n"
        ".balign 4\n"
        "1:\n"
        EDGEQ_NARROW_REQUANTIZE
        "ssat r11, #8, r11, asr #1\n"
        "strb.w r11, [r4], #1\n"
        "cmp.w r5, r7\n"
        "bne.w 1b\n"
        "9:\n"
        "ldr.w r10, [r0, #56]\n"
        "add.w r12, r0, #28\n"
        "stm.w r12, {r1-r4}\n"
        "cmp.w r10, #0\n"
        "bgt.w 2b\n"
        "add sp, sp, #40\n"
        "pop {r0, r7}\n"
        : "+r"(r0)
        :
        : "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc",
          "memory");
}
/* clang-format on */

/* `steps` of activations, at least 1, as halves; x and to move on. Adds them to `sum`. */
static inline int32_t edgeq_narrow_widen(const int8_t **x, uint32_t **to, int32_t steps,
                                         int32_t sum) {
    uint32_t a, b, c;
    __asm__ volatile(".balign 4\n"
                     "1:\n"
                     "ldr.w %[a], [%[x], #4]\n ldr.w %[b], [%[x]], #8\n"
                     "sxtb16 %[c], %[b]\n"
                     "sxtb16 %[b], %[b], ror #8\n"
                     "str.w %[b], [%[to], #4]\n"
                     "smlad %[sum], %[c], %[ones], %[sum]\n"
                     "smlad %[sum], %[b], %[ones], %[sum]\n"
                     "sxtb16 %[b], %[a]\n"
                     "sxtb16 %[a], %[a], ror #8\n"
                     "str.w %[b], [%[to], #8]\n"
                     "str.w %[a], [%[to], #12]\n"
                     "str.w %[c], [%[to]], #16\n"
                     "smlad %[sum], %[b], %[ones], %[sum]\n"
                     "smlad %[sum], %[a], %[ones], %[sum]\n"
                     "subs.w %[steps], %[steps], #1\n"
                     "bne 1b\n"
                     : [x] "+r"(*x), [to] "+r"(*to), [steps] "+r"(steps), [sum] "+r"(sum),
                       [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c)
                     : [ones] "r"(0x00010001u)
                     : "cc", "memory");
    return sum;
}

#else

#define EDGEQ_NARROW_OPAQUE(x)

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
                acc[i] = edgeq_narrow_pair(x, *layer->weight, 2 * place, acc[i]);
                layer->weight += place == pairs_of_word - 1;
            }
        }
        uint32_t above = EDGEQ_NARROW_BRIM ? *x++ : 0;
        for (uint32_t i = 0; i < pairs; i++) {
            sums[2 * i] += acc[i];
            sums[2 * i + 1] += (uint32_t)((int32_t)(acc[i] & ~above) >> EDGEQ_NARROW_LANE);
        }
        block_end += x != layer->end ? EDGEQ_NARROW_BLOCK_WORDS : 0;
    }
    for (uint32_t i = 0; i < 2 * pairs; i += 2) {
        uint32_t b = sums[i + 1];
        uint32_t a = sums[i] - (b << EDGEQ_NARROW_LANE);
        sums[i] = 2 * EDGEQ_NARROW_SCALE * a + layer->add_a;
        sums[i + 1] = 2 * EDGEQ_NARROW_SCALE * b + layer->add_b;
    }
}

static inline void edgeq_narrow_outputs(edgeq_narrow_layer *layer) {
    for (; layer->left > 0; layer->left -= 8) {
        uint32_t sums[8];
        edgeq_narrow_sums(layer, layer->left > 4 ? 4 : 2, sums);
        for (int32_t i = 0; i < 8 && i < layer->left; i++) {
            int32_t doubled = (int32_t)(2 * (uint32_t)*layer->bias++ + sums[i]);
            int32_t v = edgeq_smmulr(doubled, *layer->multiplier++);
            v = (v + (v >> 31)) >> ~*layer->shift++;
            v = (v + layer->zero_point) >> 1;
            *layer->y++ = (int8_t)edgeq_clamp(v, layer->low, layer->high);
        }
    }
}

static inline int32_t edgeq_narrow_widen(const int8_t **x, uint32_t **to, int32_t steps,
                                         int32_t sum) {
    for (int32_t i = 0; i < 2 * steps; i++, *x += 4, *to += 2) {
        uint32_t word = edgeq_load_word(*x);
        (*to)[0] = edgeq_sxtb16(word);
        (*to)[1] = edgeq_sxtb16_ror8(word);
        sum = edgeq_smlad((*to)[0], 0x00010001u, edgeq_smlad((*to)[1], 0x00010001u, sum));
    }
    return sum;
}

#endif

/* Fills scratch and the fields that speak of it. */
static inline void edgeq_narrow_prepare(edgeq_narrow_layer *layer, const int8_t *x, int32_t inputs,
                                        uint32_t *scratch) {
    int32_t left = (inputs + 7) >> 3; /* steps */
    int32_t block = left;             /* steps of the first block */
    int32_t total = 0;
    uint32_t starts = 0;
    uint32_t *to = scratch;
    while (block > EDGEQ_NARROW_BLOCK_STEPS) {
        block -= EDGEQ_NARROW_BLOCK_STEPS;
        EDGEQ_NARROW_OPAQUE(block);
    }
    int32_t pass = block; /* steps of its first pass */
    while (pass > EDGEQ_NARROW_STEPS) {
        pass -= EDGEQ_NARROW_STEPS;
        EDGEQ_NARROW_OPAQUE(pass);
    }
    layer->x = scratch;
    layer->block_end = scratch + 1 + 4 * block;
    layer->skipped_steps = (uint32_t)(EDGEQ_NARROW_STEPS - pass);
    while (left > 0) {
        uint32_t *start = to++;
        uint32_t *end = to + 4 * block;
        int32_t sum = 0;
        left -= block;
        if (left == 0 && (inputs & 7) != 0) { /* the last step of all is padded */
            int8_t last[8] = {0, 0, 0, 0, 0, 0, 0, 0};
            const int8_t *from = last;
            uint32_t *behind = to + 4 * --block;
            for (int32_t i = 0; i < (inputs & 7); i++) {
                EDGEQ_NARROW_OPAQUE(i);
                last[i] = x[8 * block + i];
            }
            sum = edgeq_narrow_widen(&from, &behind, 1, sum);
        }
        if (block > 0) {
            sum = edgeq_narrow_widen(&x, &to, block, sum);
        }
        *start = (1u << (EDGEQ_NARROW_LANE - 1)) +
                 (uint32_t)(EDGEQ_NARROW_A * sum >> (EDGEQ_NARROW_SCALE - 1));
        starts += *start;
        total += sum;
        to = end;
        if (EDGEQ_NARROW_BRIM) { /* as its sum says, all are -128 */
            *to++ = (uint32_t)((sum + 64 * 128 - 1) >> 31) & 127u << EDGEQ_NARROW_LANE;
        }
        block = EDGEQ_NARROW_BLOCK_STEPS;
        EDGEQ_NARROW_OPAQUE(block);
    }
    layer->end = to;
    layer->add_a = (uint32_t)(2 * EDGEQ_NARROW_A * total) - 2 * EDGEQ_NARROW_SCALE * starts;
    layer->add_b = (uint32_t)(2 * EDGEQ_NARROW_B * total);
}

static inline void edgeq_fully_connected_narrow(const edgeq_fully_connected_params *p,
                                                const int8_t *x, int8_t *y, void *scratch) {
    edgeq_narrow_layer layer;
    edgeq_narrow_prepare(&layer, x, p->inputs, scratch);
    layer.weight = p->weight;
    layer.bias = p->bias;
    layer.multiplier = p->multiplier;
    layer.shift = p->shift;
    layer.y = y;
    layer.zero_point = 2 * p->output_zero_point + 1;
    layer.low = p->activation_min;
    layer.high = p->activation_max;
    layer.left = p->outputs;
    edgeq_narrow_outputs(&layer);
}

#endif
