/* Fully connected, 4-bit weights in -7..7: four rows in one half. What the kernels share that take
 * them in chunks of columns; each source says why its chunks are exact.
 *
 * A half of the stream holds one column of four rows: nibbles 0 to 2 are w + 8, nibble 3 is w in
 * two's complement. SMLAD of the raw word, of its lower three nibbles, two, one: each sum contains
 * the next, and differences, shifted by 12, 8 and 4, are the rows. Groups have eight rows (two
 * words a column pair), at the end four (one word).
 *
 * Example, columns of four rows [1 -2 7 -1] and, two columns on, [0 0 0 7]: halves FF69 and 7888,
 * word 7888FF69. Columns 0 and 2 share the first word, 1 and 3 the next.
 *
 * Biases, multipliers and shifts are a table, see edgeq_row_table_dsp.h.
 *
 * The offset adds 8 sum x to rows 0 to 2 of a half: `less` takes it back, from what the sums start
 * with where a row is one chunk. Differences are right
 * modulo 2^32; no bit is lost by the shifts where the row at the top stays below 2^19 in absolute
 * value and the one below, with its offset, below 2^23.
 */
#ifndef EDGEQ_ROW_FOURS_DSP_H
#define EDGEQ_ROW_FOURS_DSP_H

#include "edgeq_kernels_dsp.h"
#include "edgeq_row_table_dsp.h"

#if !EDGEQ_DSP_ASM
static inline void edgeq_row_fours(const uint32_t *w, const uint32_t *x, int32_t columns,
                                   const int32_t *from, int32_t *to, int32_t less, int32_t halves) {
    for (int32_t j = 0; j < halves; j++, from += 4, to += 4) {
        int32_t first = edgeq_wrapping_sub(from[0], less);
        int32_t sum[4] = {first, first, first, first};
        for (int32_t k = 0; k < columns >> 1; k++) {
            uint32_t word = w[k * halves + j];
            sum[3] = edgeq_smlad(word, x[k], sum[3]);
            sum[2] = edgeq_smlad(word & 0x0FFF0FFFu, x[k], sum[2]);
            sum[1] = edgeq_smlad(word & 0x00FF00FFu, x[k], sum[1]);
            sum[0] = edgeq_smlad(word & 0x000F000Fu, x[k], sum[0]);
        }
        for (int32_t i = 3; i > 0; i--) {
            int32_t row = edgeq_wrapping_sub(sum[i], sum[i - 1]) >> (4 * i);
            to[i] = edgeq_wrapping_add(edgeq_wrapping_sub(from[i], i < 3 ? less : 0), row);
        }
        to[0] = sum[0];
    }
}
#endif

/* Column pairs in a turn of the loop over eight rows: the code stays inside a small cache. */
#if EDGEQ_SHORT_LOOPS
#define EDGEQ_TURN_PAIRS 8
#else
#define EDGEQ_TURN_PAIRS 16
#endif
enum { EDGEQ_EIGHT = 8, EDGEQ_FOUR = 4, EDGEQ_PAIR_CODE = 68 };

/* What groups of eight rows read and write. The assembly knows the order. */
typedef struct {
    const uint32_t *x;
    const int8_t *end; /* of the first chunk, a byte less if it is not all or a shift is far */
    int32_t skip;      /* bytes of the loop that are left out in its first turn, and 1 */
    const int32_t *table;
    int8_t *y;
    int32_t zero_point;
    const int8_t *last; /* outputs of a group */
    const uint32_t *weight;
    int32_t row_0;   /* what sums start with: row 0, */
    int32_t row_1;   /* with row 1, */
    int32_t rows_23; /* with those above */
    const uint32_t *stop;
    int32_t rest;  /* to take from the doubled sums of rows 0 to 2 */
    int32_t chunk; /* bytes, less 1 */
    int32_t far;   /* 1 if a shift is */
    int32_t less;  /* what the offset of the weights adds */
} edgeq_eight_job;

#if EDGEQ_DSP_ASM
EDGEQ_AT(edgeq_eight_job, x, 0);
EDGEQ_AT(edgeq_eight_job, end, 4);
EDGEQ_AT(edgeq_eight_job, skip, 8);
EDGEQ_AT(edgeq_eight_job, table, 12);
EDGEQ_AT(edgeq_eight_job, y, 16);
EDGEQ_AT(edgeq_eight_job, zero_point, 20);
EDGEQ_AT(edgeq_eight_job, last, 24);
EDGEQ_AT(edgeq_eight_job, weight, 28);
EDGEQ_AT(edgeq_eight_job, row_0, 32);
EDGEQ_AT(edgeq_eight_job, row_1, 36);
EDGEQ_AT(edgeq_eight_job, rows_23, 40);
EDGEQ_AT(edgeq_eight_job, stop, 44);
EDGEQ_AT(edgeq_eight_job, rest, 48);
EDGEQ_AT(edgeq_eight_job, chunk, 52);
EDGEQ_AT(edgeq_eight_job, far, 56);

#define EDGEQ_FOURS_STRING_(x) #x
#define EDGEQ_FOURS_STRING(x)  EDGEQ_FOURS_STRING_(x)
/* clang-format off */
#define EDGEQ_FOUR_PRODUCTS(w, a, b, c, d)                                                         \
    "smlad " d ", " w ", r2, " d "\n"                                                              \
    "bic.w " w ", " w ", #0xF000F000\n"                                                            \
    "smlad " c ", " w ", r2, " c "\n"                                                              \
    "uxtb16 " w ", " w "\n"                                                                        \
    "smlad " b ", " w ", r2, " b "\n"                                                              \
    "and.w " w ", " w ", #0x000F000F\n"                                                            \
    "smlad " a ", " w ", r2, " a "\n"
/* The doubled sums of four rows with their biases; r1 runs over the table. */
#define EDGEQ_FOUR_DOUBLE(a, b, c, d, shift_b, shift_c, shift_d)                                   \
    "ldm.w r1!, {r2-r4, r6}\n"                                                                     \
    "add.w " a ", r2, " a ", lsl #1\n"                                                             \
    "add.w " b ", r3, " b ", " shift_b "\n"                                                        \
    "add.w " c ", r4, " c ", " shift_c "\n"                                                        \
    "add.w " d ", r6, " d ", " shift_d "\n"
#define EDGEQ_EIGHT_DOUBLE(shift_b, shift_c, shift_d)                                              \
    EDGEQ_GET("r1", EDGEQ_TABLE)                                                                   \
    EDGEQ_FOUR_DOUBLE("r5", "r7", "r8", "r9", shift_b, shift_c, shift_d)                           \
    EDGEQ_FOUR_DOUBLE("r10", "r11", "r12", "lr", shift_b, shift_c, shift_d)
#define EDGEQ_FOUR_SCALES(a, b, c, d)                                                              \
    "ldm.w r1!, {r2-r4, r6}\n"                                                                     \
    EDGEQ_SCALE(a, "r2") EDGEQ_SCALE(b, "r3") EDGEQ_SCALE(c, "r4") EDGEQ_SCALE(d, "r6")
/* r6: the zero point, or its double and 1; `divide` for it. */
#define EDGEQ_EIGHT_DIVIDE(divide)                                                                 \
    "ldm.w r1!, {r2-r4}\n"                                                                         \
    divide("r5", "r2", "r6") divide("r7", "r3", "r6") divide("r8", "r4", "r6")                     \
    "ldm.w r1!, {r2-r4}\n"                                                                         \
    divide("r9", "r2", "r6") divide("r10", "r3", "r6") divide("r11", "r4", "r6")                   \
    "ldm.w r1!, {r2, r3}\n"                                                                        \
    divide("r12", "r2", "r6") divide("lr", "r3", "r6")                                             \
    EDGEQ_PUT("r1", EDGEQ_TABLE)
#define EDGEQ_CLEAR_EIGHT                                                                          \
    "movs r2, #0\n"                                                                                \
    "str r2, [sp, #60]\n"                                                                          \
    "str r2, [sp, #64]\n"                                                                          \
    "str r2, [sp, #68]\n"                                                                          \
    "str r2, [sp, #72]\n"                                                                          \
    "str r2, [sp, #76]\n"                                                                          \
    "str r2, [sp, #80]\n"
/* Into the frame what a chunk begins with; each row then sums from the one below. */
#define EDGEQ_PARK_EIGHT                                                                           \
    "str.w r7, [sp, #60]\n"                                                                        \
    "str.w r8, [sp, #64]\n"                                                                        \
    "str.w r9, [sp, #68]\n"                                                                        \
    "str.w r11, [sp, #72]\n"                                                                       \
    "str.w r12, [sp, #76]\n"                                                                       \
    "str.w lr, [sp, #80]\n"                                                                        \
    "mov r7, r5\n"                                                                                 \
    "mov r8, r5\n"                                                                                 \
    "mov r9, r5\n"                                                                                 \
    "mov r11, r10\n"                                                                               \
    "mov r12, r10\n"                                                                               \
    "mov lr, r10\n"
#define EDGEQ_ROW_0   "s7", "28"
#define EDGEQ_ROW_1   "s8", "32"
#define EDGEQ_ROWS_23 "s9", "36"

/* Groups of eight rows with all columns, to their outputs. Accumulators: r5, r7, r8, r9 of rows 0
 * to 3, each with those below; r10, r11, r12, lr of rows 4 to 7; r0 runs over the weights, four
 * bytes before them, r1 over x, r6 is the chunk's end. The frame holds the first chunk's end, the
 * rest of the job and the sums of rows 1 to 3 and 5 to 7 so far. A column pair is three loads in one run; masks
 * shrink the word in place. Every instruction of a pair takes four bytes, so that the loop can be
 * entered at any. */
__attribute__((naked, noinline)) static void edgeq_eight_rows(const edgeq_eight_job *job
                                                              __attribute__((unused))) {
    __asm__(EDGEQ_ROWS_FPU
            "push {r4-r11, lr}\n"
            "sub sp, sp, #84\n"
            "ldm r0!, {r1-r8}\n"
            "ldm r0!, {r9-r11}\n"
            "adr.w r12, 1f\n"
            "add r3, r12\n"
            "str r2, [sp, #40]\n"
            EDGEQ_PUT("r1", EDGEQ_X) EDGEQ_PUT("r2", EDGEQ_CHUNK_END)
            EDGEQ_PUT("r3", EDGEQ_ENTRY) EDGEQ_PUT("r4", EDGEQ_TABLE)
            EDGEQ_PUT("r5", EDGEQ_Y) EDGEQ_PUT("r6", EDGEQ_ZERO_POINT)
            EDGEQ_PUT("r7", EDGEQ_LAST) EDGEQ_PUT("r9", EDGEQ_ROW_0)
            EDGEQ_PUT("r10", EDGEQ_ROW_1) EDGEQ_PUT("r11", EDGEQ_ROWS_23)
            "ldm r0, {r2-r5}\n"
            "add.w r0, sp, #44\n"
            "stm r0, {r2-r5}\n"
            EDGEQ_CLEAR_EIGHT
            "sub.w r0, r8, #4\n"
            ".balign 4\n"
            "0:\n"
            EDGEQ_GET("r5", EDGEQ_ROW_0)
            EDGEQ_GET("r7", EDGEQ_ROW_1)
            EDGEQ_GET("r8", EDGEQ_ROWS_23)
            EDGEQ_GET("r1", EDGEQ_X)
            EDGEQ_GET("r2", EDGEQ_ENTRY)
            EDGEQ_GET("r6", EDGEQ_CHUNK_END)
            "mov r9, r8\n"
            "mov r10, r5\n"
            "mov r11, r7\n"
            "mov r12, r8\n"
            "mov lr, r8\n"
            "bx r2\n"
            ".balign 4\n"
            "1:\n"
            ".rept " EDGEQ_FOURS_STRING(EDGEQ_TURN_PAIRS) "\n"
            "ldr.w r2, [r1], #4\n"
            "ldr.w r3, [r0, #4]\n"
            "ldr.w r4, [r0, #8]!\n"
            EDGEQ_FOUR_PRODUCTS("r3", "r5", "r7", "r8", "r9")
            EDGEQ_FOUR_PRODUCTS("r4", "r10", "r11", "r12", "lr")
            ".endr\n"
            "cmp r1, r6\n"
            "blo.w 1b\n"
            "sub.w r9, r9, r8\n"
            "sub.w r8, r8, r7\n"
            "sub.w r7, r7, r5\n"
            "sub.w lr, lr, r12\n"
            "sub.w r12, r12, r11\n"
            "sub.w r11, r11, r10\n"
            "bne.w 4f\n" /* one chunk of several, or a shift is far */
            EDGEQ_EIGHT_DOUBLE("asr #3", "asr #7", "asr #11")
            "6:\n"
            EDGEQ_FOUR_SCALES("r5", "r7", "r8", "r9")
            EDGEQ_FOUR_SCALES("r10", "r11", "r12", "lr")
            EDGEQ_GET("r6", EDGEQ_ZERO_POINT)
            EDGEQ_EIGHT_DIVIDE(EDGEQ_DIVIDE)
            EDGEQ_SATURATE("r5") EDGEQ_SATURATE("r7") EDGEQ_SATURATE("r8") EDGEQ_SATURATE("r9")
            EDGEQ_SATURATE("r10") EDGEQ_SATURATE("r11") EDGEQ_SATURATE("r12") EDGEQ_SATURATE("lr")
            "7:\n"
            EDGEQ_GET("r1", EDGEQ_Y)
            EDGEQ_GET("r3", EDGEQ_LAST)
            "strb.w r5, [r1], #8\n"
            "strb.w r7, [r1, #-7]\n"
            "strb.w r8, [r1, #-6]\n"
            "strb.w r9, [r1, #-5]\n"
            "strb.w r10, [r1, #-4]\n"
            "strb.w r11, [r1, #-3]\n"
            "strb.w r12, [r1, #-2]\n"
            "strb.w lr, [r1, #-1]\n"
            EDGEQ_PUT("r1", EDGEQ_Y)
            "cmp.w r1, r3\n"
            "bls.w 0b\n"
            "add sp, sp, #84\n"
            "pop {r4-r11, pc}\n"
            "4:\n"
            "ldr r2, [sp, #60]\n"
            "ldr r3, [sp, #64]\n"
            "ldr r4, [sp, #68]\n"
            "add.w r7, r2, r7, asr #4\n"
            "add.w r8, r3, r8, asr #8\n"
            "add.w r9, r4, r9, asr #12\n"
            "ldr r2, [sp, #72]\n"
            "ldr r3, [sp, #76]\n"
            "ldr r4, [sp, #80]\n"
            "add.w r11, r2, r11, asr #4\n"
            "add.w r12, r3, r12, asr #8\n"
            "add.w lr, r4, lr, asr #12\n"
            "ldr r2, [sp, #44]\n"
            "cmp r1, r2\n"
            "beq 5f\n"
            EDGEQ_PARK_EIGHT
            "ldr r2, [sp, #52]\n"
            "adds r6, r1, r2\n"
            "b.w 1b\n"
            "5:\n"
            EDGEQ_CLEAR_EIGHT
            EDGEQ_EIGHT_DOUBLE("lsl #1", "lsl #1", "lsl #1")
            "ldr r2, [sp, #48]\n"
            "ldr r3, [sp, #56]\n"
            "subs r5, r5, r2\n"
            "subs r7, r7, r2\n"
            "sub.w r8, r8, r2\n"
            "sub.w r10, r10, r2\n"
            "sub.w r11, r11, r2\n"
            "sub.w r12, r12, r2\n"
            "cmp r3, #0\n"
            "beq.w 6b\n"
            EDGEQ_FOUR_SCALES("r5", "r7", "r8", "r9")
            EDGEQ_FOUR_SCALES("r10", "r11", "r12", "lr")
            EDGEQ_GET("r6", EDGEQ_ZERO_POINT)
            "lsls r6, r6, #1\n"
            "adds r6, r6, #1\n"
            EDGEQ_EIGHT_DIVIDE(EDGEQ_DIVIDE_FAR)
            "b.w 7b\n");
}
/* clang-format on */
#else
static void edgeq_eight_rows(const edgeq_eight_job *job) {
    const uint32_t *w = job->weight;
    const int32_t *table = job->table;
    int32_t words = (job->chunk + 1) >> 2;
    for (int8_t *y = job->y; y <= job->last; y += EDGEQ_EIGHT, table += 3 * EDGEQ_EIGHT) {
        int32_t sum[EDGEQ_EIGHT] = {0, 0, 0, 0, 0, 0, 0, 0};
        int32_t less = job->less;
        for (const uint32_t *x = job->x; x != job->stop; less = 0) {
            int32_t n = job->stop - x < words ? (int32_t)(job->stop - x) : words;
            edgeq_row_fours(w, x, 2 * n, sum, sum, less, 2);
            x += n;
            w += 2 * n;
        }
        for (int32_t i = 0; i < EDGEQ_EIGHT; i++) {
            y[i] = edgeq_table_output(table + i, EDGEQ_EIGHT, sum[i], job->zero_point);
        }
    }
}
#endif

/* Four rows: r5, r7, r8, r9. Four columns are four loads in one run. */
static __attribute__((noinline)) void edgeq_four_rows(const uint32_t *w, const uint32_t *x,
                                                      int32_t columns, const int32_t *from,
                                                      int32_t *to, int32_t less, int32_t count) {
    (void)count;
#if EDGEQ_DSP_ASM
    register const uint32_t *weight __asm__("r0") = w;
    register const uint32_t *activation __asm__("r1") = x;
    register const uint32_t *end __asm__("r2") = x + (columns >> 1);
    register const int32_t *start __asm__("r3") = from;
    register int32_t *sums __asm__("r4") = to;
    register int32_t minus __asm__("r5") = less;
    __asm__ volatile(".syntax unified\n\t" EDGEQ_KEEP_R9 "push    {r2, r4, r7, lr}\n\t"
                     "sub     r0, r0, #4\n\t"
                     "ldr     r7, [r3, #4]\n\t"
                     "ldr     r8, [r3, #8]\n\t"
                     "ldr     r9, [r3, #12]\n\t"
                     "ldr     r6, [r3]\n\t"
                     "sub     r7, r7, r5\n\t"
                     "sub     r8, r8, r5\n\t"
                     "sub     r5, r6, r5\n\t"
                     "str     r7, [r4, #4]\n\t"
                     "str     r8, [r4, #8]\n\t"
                     "str     r9, [r4, #12]\n\t"
                     "mov     r7, r5\n\t"
                     "mov     r8, r5\n\t"
                     "mov     r9, r5\n\t"
                     "ldr     r6, [sp]\n\t"
                     ".p2align 2\n\t"
                     "1:\n\t"
                     "ldr.w   r2, [r1], #4\n\t"
                     "ldr.w   r3, [r0, #4]\n\t"
                     "ldr.w   r4, [r1], #4\n\t"
                     "ldr.w   r10, [r0, #8]!\n\t"
                     "smlad   r9, r3, r2, r9\n\t"
                     "bic     r3, r3, #0xF000F000\n\t"
                     "smlad   r8, r3, r2, r8\n\t"
                     "uxtb16  r3, r3\n\t"
                     "smlad   r7, r3, r2, r7\n\t"
                     "and     r3, r3, #0x000F000F\n\t"
                     "smlad   r5, r3, r2, r5\n\t"
                     "smlad   r9, r10, r4, r9\n\t"
                     "bic     r10, r10, #0xF000F000\n\t"
                     "smlad   r8, r10, r4, r8\n\t"
                     "uxtb16  r10, r10\n\t"
                     "smlad   r7, r10, r4, r7\n\t"
                     "and     r10, r10, #0x000F000F\n\t"
                     "smlad   r5, r10, r4, r5\n\t"
                     "ldr.w   r2, [r1], #4\n\t"
                     "ldr.w   r3, [r0, #4]\n\t"
                     "ldr.w   r4, [r1], #4\n\t"
                     "ldr.w   r10, [r0, #8]!\n\t"
                     "smlad   r9, r3, r2, r9\n\t"
                     "bic     r3, r3, #0xF000F000\n\t"
                     "smlad   r8, r3, r2, r8\n\t"
                     "uxtb16  r3, r3\n\t"
                     "smlad   r7, r3, r2, r7\n\t"
                     "and     r3, r3, #0x000F000F\n\t"
                     "smlad   r5, r3, r2, r5\n\t"
                     "smlad   r9, r10, r4, r9\n\t"
                     "bic     r10, r10, #0xF000F000\n\t"
                     "smlad   r8, r10, r4, r8\n\t"
                     "uxtb16  r10, r10\n\t"
                     "smlad   r7, r10, r4, r7\n\t"
                     "and     r10, r10, #0x000F000F\n\t"
                     "smlad   r5, r10, r4, r5\n\t"
                     "cmp     r1, r6\n\t"
                     "bne.w   1b\n\t"
                     "pop     {r2, r4}\n\t"
                     "ldr     r0, [r4, #4]\n\t"
                     "ldr     r1, [r4, #8]\n\t"
                     "ldr     r2, [r4, #12]\n\t"
                     "sub     r9, r9, r8\n\t"
                     "sub     r8, r8, r7\n\t"
                     "sub     r7, r7, r5\n\t"
                     "add     r0, r0, r7, asr #4\n\t"
                     "add     r1, r1, r8, asr #8\n\t"
                     "add     r2, r2, r9, asr #12\n\t"
                     "str     r5, [r4]\n\t"
                     "str     r0, [r4, #4]\n\t"
                     "str     r1, [r4, #8]\n\t"
                     "str     r2, [r4, #12]\n\t"
                     "pop     {r7, lr}\n\t" EDGEQ_BACK_R9
                     : "+r"(weight), "+r"(activation), "+r"(end), "+r"(start), "+r"(sums),
                       "+r"(minus)
                     :
                     : "r6", "r8", EDGEQ_USES_R9 "r10", "r11", "r12", "cc", "memory");
#else
    edgeq_row_fours(w, x, columns, from, to, less, 1);
#endif
}

/* The last `rows` rows, four at a time; missing ones have weights of 0. */
static void edgeq_last_fours(const edgeq_eight_job *job, const uint32_t *w, const int32_t *table,
                             int8_t *y, int32_t rows) {
    int32_t chunk = (job->chunk + 1) >> 1;
    int32_t columns = 2 * (int32_t)(job->stop - job->x);
    for (int32_t row = 0; row < rows; row += EDGEQ_FOUR) {
        int32_t sum[EDGEQ_FOUR] = {0, 0, 0, 0};
        int32_t n;
        for (int32_t at = 0; at < columns; at += n) {
            n = columns - at < chunk ? columns - at : chunk;
            int32_t once = at == 0 ? job->less : 0;
            edgeq_four_rows(w, job->x + (at >> 1), n, sum, sum, once, EDGEQ_FOUR);
            w += n >> 1;
        }
        for (int32_t i = row; i < row + EDGEQ_FOUR && i < rows; i++) {
            y[i] = edgeq_table_output(table + i, rows, sum[i - row], job->zero_point);
        }
    }
}

/* All outputs, `chunk` columns at a time: whole turns of the loop over eight rows. */
static inline void edgeq_fully_connected_fours(const edgeq_fully_connected_params *p,
                                               const int8_t *x, int8_t *y, void *scratch,
                                               int32_t chunk) {
    uint32_t *spread = scratch;
    int32_t words = edgeq_padded_columns(p->inputs) >> 1;
    int32_t first = words;
    while (first > chunk >> 1) {
        first -= chunk >> 1;
        EDGEQ_STEPS(first);
    }
    edgeq_eight_job job;
    job.x = spread;
    job.stop = spread + words;
    job.far = p->bias[0] & EDGEQ_FAR_SHIFTS;
    job.end = (const int8_t *)(spread + first) - (first < words || job.far != 0);
    job.skip = (-words & (EDGEQ_TURN_PAIRS - 1)) * EDGEQ_PAIR_CODE + 1; /* Thumb code */
    job.chunk = 2 * chunk - 1;
    job.table = p->bias + 1;
    job.y = y;
    job.zero_point = p->output_zero_point;
    job.weight = p->weight;
    job.less = 8 * edgeq_spread(x, p->inputs, spread);
    int32_t once = first < words ? 0 : job.less; /* several chunks lose it at the end */
    job.row_0 = -once;
    job.row_1 = -17 * once;
    job.rows_23 = -273 * once;
    job.rest = 2 * (job.less - once);
    int32_t done = p->outputs & ~(EDGEQ_EIGHT - 1);
    const edgeq_eight_job *all = &job;
    if (done > 0) {
        job.last = y + p->outputs - EDGEQ_EIGHT;
        EDGEQ_IN_MEMORY(all);
        edgeq_eight_rows(all);
    }
    edgeq_last_fours(all, job.weight + (done >> 2) * words, job.table + 3 * done, y + done,
                     p->outputs - done);
    if (p->activation_max - p->activation_min < 255) { /* only saturated so far */
        for (int32_t i = 0; i < p->outputs; i++) {
            y[i] = (int8_t)edgeq_clamp(y[i], p->activation_min, p->activation_max);
        }
    }
}

#endif
