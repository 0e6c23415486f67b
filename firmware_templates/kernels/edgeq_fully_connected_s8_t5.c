/* FullyConnected, ternary weights five to a byte (1.6 bits each), by tables of partial sums.
 *
 * A byte is sum (w_i + 1) * stride_i over five columns, strides 1, 3, 9, 28, 84: the index of
 * sum w_i * x_i in a table of all their 243 sums. Columns go in blocks of 40, eight tables. Stream:
 * for each block, for each row (padded to a multiple of 4), its eight bytes. Missing columns and
 * rows are weights of 0, the byte 125.
 *
 * Example: w = [1 -1 0 0 1] is 2 * 1 + 0 * 3 + 1 * 9 + 1 * 28 + 2 * 84 = 207.
 *
 * Scratch: eight tables, then an accumulator a row. Two entries share a word, each OFFSET + sum, so
 * that both are positive (|sum| <= 640) and one 32-bit addition of x * 0x10001 serves both: nothing
 * is borrowed from the upper one. The strides 28 and 84 are even, so pairs meet pairs. Rows add up
 * entries as they are; the accumulators start lower by OFFSET a table.
 */
#include "edgeq_kernels.h"
#include "edgeq_layout.h"
#include "edgeq_requantize.h"

enum { TRITS = 5, TABLES = 8, COLUMNS = TRITS * TABLES, OFFSET = 1024, QUAD = 4 };

typedef union {
    uint32_t words[128];
    uint16_t entries[256];
} sum_table;

EDGEQ_HOLDS(sizeof(sum_table) == 512 && TABLES == 8 && QUAD == 4); /* as the assembly has it */

/* Seven words of the middle third: less x in the third below, plus x in that above. All loads come
 * first, where each behind another takes one cycle. */
static inline void grow_seven(uint32_t *middle, int32_t words, uint32_t x) {
    uint32_t *below = middle - words;
    uint32_t *above = middle + words;
    uint32_t m0 = middle[0], m1 = middle[1], m2 = middle[2], m3 = middle[3];
    uint32_t m4 = middle[4], m5 = middle[5], m6 = middle[6];
    below[0] = m0 - x;
    below[1] = m1 - x;
    below[2] = m2 - x;
    below[3] = m3 - x;
    below[4] = m4 - x;
    below[5] = m5 - x;
    below[6] = m6 - x;
    above[0] = m0 + x;
    above[1] = m1 + x;
    above[2] = m2 + x;
    above[3] = m3 + x;
    above[4] = m4 + x;
    above[5] = m5 + x;
    above[6] = m6 + x;
}

static inline uint32_t in_both(int8_t x) {
    return (uint32_t)(int32_t)x * 0x10001u;
}

/* Three sums around `middle`. */
static inline void put_three(uint16_t *entry, int32_t middle, int32_t a) {
    entry[0] = (uint16_t)(middle - a);
    entry[1] = (uint16_t)middle;
    entry[2] = (uint16_t)(middle + a);
}

static inline void put_nine(uint16_t *entry, int32_t middle, int32_t a, int32_t b) {
    put_three(entry, middle - b, a);
    put_three(entry + 3, middle, a);
    put_three(entry + 6, middle + b, a);
}

/* All sums of five activations: 27 of the first three in the middle, then both sides, twice. */
__attribute__((noinline)) static void build_table(const int8_t *x, sum_table *table) {
    uint16_t *entry = &table->entries[112];
    uint32_t fourth = in_both(x[3]);
    uint32_t fifth = in_both(x[4]);
    put_nine(entry, OFFSET - x[2], x[0], x[1]);
    put_nine(entry + 9, OFFSET, x[0], x[1]);
    put_nine(entry + 18, OFFSET + x[2], x[0], x[1]);
    entry[27] = OFFSET; /* a lane that no index reads */
    for (int32_t i = 0; i < 14; i += 7) {
        grow_seven(&table->words[56 + i], 14, fourth);
    }
    for (int32_t i = 0; i < 42; i += 7) {
        grow_seven(&table->words[42 + i], 42, fifth);
    }
}

#define UNUSED __attribute__((unused))

#if defined(__thumb2__) && !defined(EDGEQ_PORTABLE)
/* clang-format off */
/* Loads stand in chains, where each behind another takes one cycle; the row before is stored behind
 * a chain, where a store takes none: 28 cycles a row, 40 products. r0 bytes, r1 accumulators, r5 to
 * r12 tables, lr the sum; where the accumulators end is on the stack. */
#define BYTE(to, at)     "ldrb.w " to ", [r0, #" #at "]\n"
#define ENTRY(to, table) "ldrh.w " to ", [" table ", " to ", lsl #1]\n"
#define PLUS(to, x)      "add.w " to ", " to ", " x "\n"
#define STORE(at)        "str.w lr, [r1, #" #at "]\n"
#define ROW(w, at, store_before)                                                                   \
    BYTE("r2", w) BYTE("r3", w + 1) BYTE("r4", w + 2)                                              \
    ENTRY("r2", "r5") ENTRY("r3", "r6") ENTRY("r4", "r7")                                          \
    store_before                                                                                   \
    PLUS("r2", "r3") PLUS("r2", "r4")                                                              \
    "ldr.w lr, [r1, #" #at "]\n"                                                                   \
    BYTE("r3", w + 3) BYTE("r4", w + 4)                                                            \
    ENTRY("r3", "r8") ENTRY("r4", "r9")                                                            \
    PLUS("lr", "r2") PLUS("lr", "r3") PLUS("lr", "r4")                                             \
    BYTE("r2", w + 5) BYTE("r3", w + 6) BYTE("r4", w + 7)                                          \
    ENTRY("r2", "r10") ENTRY("r3", "r11") ENTRY("r4", "r12")                                       \
    PLUS("lr", "r2") PLUS("lr", "r3") PLUS("lr", "r4")

/* Adds a block's sums to the accumulators of a multiple of four rows. */
__attribute__((naked, noinline)) static void look_up(UNUSED const uint8_t *w, UNUSED int32_t *acc,
                                                     UNUSED const sum_table *tables,
                                                     UNUSED const int32_t *end) {
    __asm__("push {r3-r11, lr}\n"
            "mov r5, r2\n"
            "add.w r6, r5, #512\n"
            "add.w r7, r6, #512\n"
            "add.w r8, r7, #512\n"
            "add.w r9, r8, #512\n"
            "add.w r10, r9, #512\n"
            "add.w r11, r10, #512\n"
            "add.w r12, r11, #512\n"
            ".balign 4\n"
            "1:\n"
            ROW(0, 0, "") ROW(8, 4, STORE(0)) ROW(16, 8, STORE(4)) ROW(24, 12, STORE(8))
            "ldr.w r2, [sp]\n"
            STORE(12)
            "add.w r1, r1, #16\n"
            "add.w r0, r0, #32\n"
            "cmp.w r1, r2\n"
            "bne.w 1b\n"
            "pop {r3-r11, pc}\n");
}
/* clang-format on */
#elif defined(__thumb__) && !defined(EDGEQ_PORTABLE)
/* clang-format off */
/* ARMv6-M has eight registers for addresses: four tables at a time, 29 cycles a row, 20 products.
 * r0 bytes, r1 accumulators, r4 to r7 tables, r8 where the accumulators end. */
#define ENTRY(w, table)                                                                            \
    "ldrb r2, [r0, #" #w "]\n"                                                                     \
    "lsls r2, r2, #1\n"                                                                            \
    "ldrh r2, [" table ", r2]\n"                                                                   \
    "adds r3, r3, r2\n"
#define ROW(w)                                                                                     \
    "ldr r3, [r1]\n"                                                                               \
    ENTRY(w, "r4") ENTRY(w + 1, "r5") ENTRY(w + 2, "r6") ENTRY(w + 3, "r7")                        \
    "stmia r1!, {r3}\n"

__attribute__((naked, noinline)) static void look_up_four(UNUSED const uint8_t *w,
                                                          UNUSED int32_t *acc,
                                                          UNUSED const sum_table *tables,
                                                          UNUSED const int32_t *end) {
    __asm__(".syntax unified\n"
            "push {r4-r7, lr}\n"
            "mov r4, r8\n"
            "push {r4}\n"
            "mov r8, r3\n"
            "movs r3, #128\n"
            "lsls r3, r3, #2\n"
            "mov r4, r2\n"
            "adds r5, r4, r3\n"
            "adds r6, r5, r3\n"
            "adds r7, r6, r3\n"
            "1:\n"
            ROW(0) ROW(8) ROW(16) ROW(24)
            "adds r0, #32\n"
            "cmp r1, r8\n"
            "bne 1b\n"
            "pop {r4}\n"
            "mov r8, r4\n"
            "pop {r4-r7, pc}\n");
}
/* clang-format on */

static void look_up(const uint8_t *w, int32_t *acc, const sum_table *tables, const int32_t *end) {
    look_up_four(w, acc, tables, end);
    look_up_four(w + 4, acc, tables + 4, end);
}
#else
/* Adds a block's sums to the accumulators of a multiple of four rows. */
static void look_up(const uint8_t *w, int32_t *acc, const sum_table *tables, const int32_t *end) {
    for (; acc != end; acc++) {
        for (int32_t i = 0; i < TABLES; i++) {
            *acc += tables[i].entries[*w++];
        }
    }
}
#endif

EDGEQ_KERNEL void edgeq_fully_connected_s8_t5(const edgeq_fully_connected_params *p,
                                              const int8_t *x, int8_t *y, void *scratch) {
    sum_table *tables = scratch;
    int32_t *acc = (int32_t *)(void *)(tables + TABLES);
    const uint8_t *w = p->weight;
    const int32_t *bias = p->bias; /* copies: y could be any of the fields, for a compiler */
    const int32_t *multiplier = p->multiplier;
    const int8_t *shift = p->shift;
    int32_t outputs = p->outputs;
    int32_t zero_point = p->output_zero_point;
    int32_t low = p->activation_min;
    int32_t high = p->activation_max;
    int32_t rows = (outputs + QUAD - 1) & ~(QUAD - 1);
    uint32_t start = 0;
    for (int32_t left = p->inputs; left > 0; left -= COLUMNS) {
        EDGEQ_STEPS(left); /* clang would divide by 40 */
        start -= OFFSET * TABLES;
    }
    for (int32_t i = 0; i < outputs; i++) {
        acc[i] = (int32_t)((uint32_t)bias[i] + start);
    }
    for (int32_t i = outputs; i < rows; i++) {
        acc[i] = 0;
    }
    for (int32_t left = p->inputs; left > 0; left -= COLUMNS, x += COLUMNS) {
        int8_t last[COLUMNS];
        const int8_t *from = x;
        if (left < COLUMNS) {
            for (int32_t i = 0; i < COLUMNS; i++) {
                last[i] = (int8_t)(i < left ? x[i] : 0);
            }
            from = last;
        }
        for (int32_t i = 0; i < TABLES; i++) {
            build_table(from + TRITS * i, &tables[i]);
        }
        look_up(w, acc, tables, acc + rows);
        w += TABLES * rows;
    }
    for (int32_t i = 0; i < outputs; i++) {
        y[i] = edgeq_requantize(acc[i], multiplier[i], shift[i], zero_point, low, high);
    }
}
