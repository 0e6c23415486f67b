/* Fully connected layers on ARMv6-M: one multiply a cycle, no dual multiply, eight low registers.
 *
 * Activations are read as bytes u = x + 128 from scratch, with zeros behind the last. Four rows are
 * computed at a time; `bias` takes - (128 + zero point) * sum(w), weights are c = (w - OFFSET) /
 * STEP, and a row is STEP * sum(c u) + OFFSET * sum(u).
 *
 * Narrow weights: a word holds two rows, row a's codes in its lower half, row b's in its upper, the
 * first column in the lowest bits. One multiply serves both: (c_a + c_b 2^16) * u. The halves of
 * the accumulator are taken apart before the lower one can reach 2^16: after CHUNK columns, as
 * CHUNK * 255 * the largest code is below it. A turn takes COLUMNS columns, WORDS words of rows
 * (0, 1) and of rows (2, 3) in turns.
 *
 * 8-bit weights: a word holds one column of four rows, row 0 in the lowest byte.
 *
 * An including source defines, before the include: EDGEQ_V6M_BITS (spacing of codes: 1 to 4, or 8),
 * _MASK, _COLUMNS (of a word), _WORDS (unrolled), _CHUNK, _STEP and _OFFSET.
 */
#ifndef EDGEQ_FULLY_CONNECTED_V6M_H
#define EDGEQ_FULLY_CONNECTED_V6M_H

#include "edgeq_kernels_v6m.h"
#include "edgeq_outputs_v6m.h"

enum {
    EDGEQ_V6M_TURN = EDGEQ_V6M_COLUMNS * EDGEQ_V6M_WORDS,
    EDGEQ_V6M_BLOCK = 16 /* rows between two calls for their outputs */
};

#if defined(__thumb__) && !defined(EDGEQ_PORTABLE)
#define EDGEQ_V6M_UNUSED   __attribute__((unused))
#define EDGEQ_V6M_TEXT_(x) #x
#define EDGEQ_V6M_TEXT(x)  EDGEQ_V6M_TEXT_(x)

/* clang-format off */
/* r0 weights, r1 activations, r2 an activation, r3 free, r4 and r5 words, r6 mask, r7 where the
 * chunk ends; accumulators of rows (0, 1) in r8, of (2, 3) in r9, sums of rows in r10-r12 and lr. */
#define EDGEQ_V6M_TWO(code0, code1)                                                                \
    code0 "ands r3, r6\n muls r3, r2\n add r8, r3\n"                                               \
    code1 "ands r3, r6\n muls r3, r2\n add r9, r3\n"
#define EDGEQ_V6M_FIRST(k)                                                                         \
    "ldrb r2, [r1, #" k "]\n" EDGEQ_V6M_TWO("mov r3, r4\n", "mov r3, r5\n")
#define EDGEQ_V6M_NEXT(k, shift)                                                                   \
    "ldrb r2, [r1, #" k "]\n"                                                                      \
    EDGEQ_V6M_TWO("lsrs r3, r4, #" shift "\n", "lsrs r3, r5, #" shift "\n")
#define EDGEQ_V6M_LOAD "ldmia r0!, {r4, r5}\n"

#if EDGEQ_V6M_BITS == 4
#define EDGEQ_V6M_STEPS                                                                            \
    EDGEQ_V6M_LOAD EDGEQ_V6M_FIRST("0")                                                            \
    EDGEQ_V6M_NEXT("1", "4") EDGEQ_V6M_NEXT("2", "8") EDGEQ_V6M_NEXT("3", "12")                    \
    EDGEQ_V6M_LOAD EDGEQ_V6M_FIRST("4")                                                            \
    EDGEQ_V6M_NEXT("5", "4") EDGEQ_V6M_NEXT("6", "8") EDGEQ_V6M_NEXT("7", "12")
#elif EDGEQ_V6M_BITS == 3
#define EDGEQ_V6M_STEPS                                                                            \
    EDGEQ_V6M_LOAD EDGEQ_V6M_FIRST("0") EDGEQ_V6M_NEXT("1", "3")                                   \
    EDGEQ_V6M_NEXT("2", "6") EDGEQ_V6M_NEXT("3", "9") EDGEQ_V6M_NEXT("4", "12")                    \
    EDGEQ_V6M_LOAD EDGEQ_V6M_FIRST("5") EDGEQ_V6M_NEXT("6", "3")                                   \
    EDGEQ_V6M_NEXT("7", "6") EDGEQ_V6M_NEXT("8", "9") EDGEQ_V6M_NEXT("9", "12")
#elif EDGEQ_V6M_BITS == 2
#define EDGEQ_V6M_STEPS                                                                            \
    EDGEQ_V6M_LOAD EDGEQ_V6M_FIRST("0")                                                            \
    EDGEQ_V6M_NEXT("1", "2") EDGEQ_V6M_NEXT("2", "4") EDGEQ_V6M_NEXT("3", "6")                     \
    EDGEQ_V6M_NEXT("4", "8") EDGEQ_V6M_NEXT("5", "10") EDGEQ_V6M_NEXT("6", "12")                   \
    EDGEQ_V6M_NEXT("7", "14")
#elif EDGEQ_V6M_BITS == 1
#define EDGEQ_V6M_STEPS                                                                            \
    EDGEQ_V6M_LOAD EDGEQ_V6M_FIRST("0")                                                            \
    EDGEQ_V6M_NEXT("1", "1") EDGEQ_V6M_NEXT("2", "2") EDGEQ_V6M_NEXT("3", "3")                     \
    EDGEQ_V6M_NEXT("4", "4") EDGEQ_V6M_NEXT("5", "5") EDGEQ_V6M_NEXT("6", "6")                     \
    EDGEQ_V6M_NEXT("7", "7") EDGEQ_V6M_NEXT("8", "8") EDGEQ_V6M_NEXT("9", "9")                     \
    EDGEQ_V6M_NEXT("10", "10") EDGEQ_V6M_NEXT("11", "11") EDGEQ_V6M_NEXT("12", "12")               \
    EDGEQ_V6M_NEXT("13", "13") EDGEQ_V6M_NEXT("14", "14") EDGEQ_V6M_NEXT("15", "15")
#endif

#define EDGEQ_V6M_ENTER                                                                            \
    ".syntax unified\n"                                                                            \
    "push {r4-r7, lr}\n"                                                                           \
    "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"                                        \
    "push {r2, r3, r4-r7}\n"                                                                       \
    "movs r3, #0\n"                                                                                \
    "mov r8, r3\n mov r9, r3\n mov r10, r3\n mov r11, r3\n"
#define EDGEQ_V6M_LEAVE                                                                            \
    "pop {r2, r3, r4-r7}\n"                                                                        \
    "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"                                        \
    "pop {r4-r7, pc}\n"

#if EDGEQ_V6M_BITS == 8
/* 14 cycles for the four products of a column, and 3.5 to load it. Rows in r8-r11. */
#define EDGEQ_V6M_COLUMN(w, k)                                                                     \
    "ldrb r2, [r1, #" k "]\n"                                                                      \
    "sxtb r3, " w "\n muls r3, r2\n add r8, r3\n"                                                  \
    "asrs " w ", " w ", #8\n sxtb r3, " w "\n muls r3, r2\n add r9, r3\n"                          \
    "asrs " w ", " w ", #8\n sxtb r3, " w "\n muls r3, r2\n add r10, r3\n"                         \
    "asrs " w ", " w ", #8\n muls " w ", r2\n add r11, " w "\n"

/* sums[i] = sum c u of row i, u up to `end`. */
__attribute__((naked, noinline)) static void
edgeq_four_rows(EDGEQ_V6M_UNUSED const uint32_t *w, EDGEQ_V6M_UNUSED const uint8_t *u,
                EDGEQ_V6M_UNUSED const uint8_t *end, EDGEQ_V6M_UNUSED int32_t *sums) {
    __asm__(EDGEQ_V6M_ENTER
            "mov r7, r2\n"
            "1:\n"
            "ldmia r0!, {r4, r5}\n" EDGEQ_V6M_COLUMN("r4", "0") EDGEQ_V6M_COLUMN("r5", "1")
            "ldmia r0!, {r4, r5}\n" EDGEQ_V6M_COLUMN("r4", "2") EDGEQ_V6M_COLUMN("r5", "3")
            "ldmia r0!, {r4, r5}\n" EDGEQ_V6M_COLUMN("r4", "4") EDGEQ_V6M_COLUMN("r5", "5")
            "ldmia r0!, {r4, r5}\n" EDGEQ_V6M_COLUMN("r4", "6") EDGEQ_V6M_COLUMN("r5", "7")
            "adds r1, #8\n"
            "cmp r1, r7\n"
            "bne 1b\n"
            "ldr r3, [sp, #4]\n"
            "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"
            "stmia r3!, {r4-r7}\n"
            EDGEQ_V6M_LEAVE);
}
#else
/* 10 cycles for the four products of a column. */
__attribute__((naked, noinline)) static void
edgeq_four_rows(EDGEQ_V6M_UNUSED const uint32_t *w, EDGEQ_V6M_UNUSED const uint8_t *u,
                EDGEQ_V6M_UNUSED const uint8_t *end, EDGEQ_V6M_UNUSED int32_t *sums) {
    __asm__(EDGEQ_V6M_ENTER
            "mov r12, r3\n mov lr, r3\n"
            "movs r6, #(" EDGEQ_V6M_TEXT(EDGEQ_V6M_MASK) " & 255)\n"
            "lsls r3, r6, #16\n"
            "orrs r6, r3\n"
            "mov r7, r1\n"
            "2:\n" /* the next chunk, or what is left */
            "adds r7, #" EDGEQ_V6M_TEXT(EDGEQ_V6M_CHUNK) "\n"
            "ldr r3, [sp]\n"
            "cmp r7, r3\n"
            "bls 1f\n"
            "mov r7, r3\n"
            "1:\n" EDGEQ_V6M_STEPS
            "adds r1, #" EDGEQ_V6M_TEXT(EDGEQ_V6M_COLUMNS) " * " EDGEQ_V6M_TEXT(EDGEQ_V6M_WORDS) "\n"
            "cmp r1, r7\n"
            "beq 3f\n"
            "b 1b\n"
            "3:\n"
            "mov r2, r8\n uxth r3, r2\n lsrs r2, r2, #16\n add r10, r3\n add r11, r2\n"
            "mov r2, r9\n uxth r3, r2\n lsrs r2, r2, #16\n add r12, r3\n add lr, r2\n"
            "movs r3, #0\n mov r8, r3\n mov r9, r3\n"
            "ldr r3, [sp]\n"
            "cmp r1, r3\n"
            "beq 4f\n"
            "b 2b\n"
            "4:\n"
            "ldr r3, [sp, #4]\n"
            "mov r4, r10\n mov r5, r11\n mov r6, r12\n mov r7, lr\n"
            "stmia r3!, {r4-r7}\n"
            EDGEQ_V6M_LEAVE);
}
#endif
/* clang-format on */
#elif EDGEQ_V6M_BITS == 8
static void edgeq_four_rows(const uint32_t *w, const uint8_t *u, const uint8_t *end,
                            int32_t *sums) {
    int32_t own[4] = {0, 0, 0, 0};
    for (; u != end; u++, w++) {
        for (int32_t row = 0; row < 4; row++) {
            own[row] += (int8_t)(uint8_t)(*w >> (8 * row)) * *u;
        }
    }
    for (int32_t row = 0; row < 4; row++) {
        sums[row] = own[row];
    }
}
#else
/* sums[i] = sum c u of row i, u up to `end`. */
static void edgeq_four_rows(const uint32_t *w, const uint8_t *u, const uint8_t *end,
                            int32_t *sums) {
    uint32_t both[2] = {0, 0};
    int32_t own[4] = {0, 0, 0, 0};
    for (int32_t k = 0; u != end; w += 2) {
        for (int32_t i = 0; i < EDGEQ_V6M_COLUMNS; i++, k++, u++) {
            both[0] += (w[0] >> (i * EDGEQ_V6M_BITS) & EDGEQ_V6M_MASK) * *u;
            both[1] += (w[1] >> (i * EDGEQ_V6M_BITS) & EDGEQ_V6M_MASK) * *u;
        }
        if (k == EDGEQ_V6M_CHUNK || u == end) {
            for (int32_t i = 0; i < 2; i++) {
                own[2 * i] += (int32_t)(both[i] & 0xFFFF);
                own[2 * i + 1] += (int32_t)(both[i] >> 16);
                both[i] = 0;
            }
            k = 0;
        }
    }
    for (int32_t row = 0; row < 4; row++) {
        sums[row] = own[row];
    }
}
#endif

/* Fills scratch with u; returns their sum. */
static inline int32_t edgeq_unsigned_activations(const int8_t *x, int32_t n, int32_t padded,
                                                 uint8_t *u) {
    int32_t total = 0;
    for (int32_t i = 0; i < n; i++) {
        u[i] = (uint8_t)(x[i] + 128);
        total += u[i];
    }
    for (int32_t i = n; i < padded; i++) {
        u[i] = 0;
    }
    return total;
}

static inline void edgeq_fully_connected_v6m(const edgeq_fully_connected_params *p, const int8_t *x,
                                             int8_t *y, void *scratch) {
    const uint32_t *w = p->weight;
    int32_t padded = 0;
    int32_t row_words = 0; /* of four rows */
    while (padded < p->inputs) {
        EDGEQ_STEPS(padded); /* clang would divide */
        padded += EDGEQ_V6M_TURN;
        row_words += EDGEQ_V6M_BITS == 8 ? EDGEQ_V6M_TURN : 2 * EDGEQ_V6M_WORDS;
    }
    uint8_t *u = scratch;
    int32_t more = EDGEQ_V6M_OFFSET * edgeq_unsigned_activations(x, p->inputs, padded, u);
    int32_t channels = 4 * p->outputs;
    edgeq_outputs o = edgeq_outputs_of(p->bias, p->multiplier, p->shift, p->output_zero_point,
                                       p->activation_min, p->activation_max);
    o.sums_bytes = 4;
    while (o.first < channels) {
        int32_t sums[EDGEQ_V6M_BLOCK];
        int32_t end = o.first + 4 * EDGEQ_V6M_BLOCK;
        o.last = channels < end ? channels : end;
        int32_t *to = sums;
        for (int32_t row = o.first; row < o.last; row += 16, to += 4) {
            edgeq_four_rows(w, u, u + padded, to);
            if (EDGEQ_V6M_OFFSET != 0) {
                to[0] = EDGEQ_V6M_STEP * to[0] + more;
                to[1] = EDGEQ_V6M_STEP * to[1] + more;
                to[2] = EDGEQ_V6M_STEP * to[2] + more;
                to[3] = EDGEQ_V6M_STEP * to[3] + more;
            }
            w += row_words;
        }
        edgeq_put_outputs(&o, sums, y);
        y += EDGEQ_V6M_BLOCK;
    }
}

#endif
