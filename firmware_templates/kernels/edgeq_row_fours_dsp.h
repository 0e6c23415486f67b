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
 * The offset adds 8 sum x to rows 0 to 2 of a half: `less` takes it back. Differences are right
 * modulo 2^32; no bit is lost by the shifts where the row at the top stays below 2^19 in absolute
 * value and the one below, with its offset, below 2^23.
 */
#ifndef EDGEQ_ROW_FOURS_DSP_H
#define EDGEQ_ROW_FOURS_DSP_H

#include "edgeq_fully_connected_dsp.h"
#include "edgeq_kernels_dsp.h"

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
    const int8_t *end; /* of the first chunk, a byte less if it is not all */
    int32_t skip;      /* bytes of the loop that are left out in its first turn, and 1 */
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int8_t *y;
    int32_t half;       /* the doubled zero point of the output and 1 */
    const int8_t *last; /* outputs of a group */
    const uint32_t *stop;
    int32_t less;  /* what the offset of the weights adds */
    int32_t chunk; /* bytes, less 1 */
    const uint32_t *weight;
} edgeq_eight_job;

static inline int8_t edgeq_fours_output(const edgeq_eight_job *job, int32_t sum, int32_t row) {
    int32_t v = edgeq_high_product(sum, job->multiplier[row]);
    v = ((v + (v >> 31)) >> ~job->shift[row]) + job->half;
    return (int8_t)edgeq_saturate_half(v);
}

#if EDGEQ_DSP_ASM
EDGEQ_AT(edgeq_eight_job, x, 0);
EDGEQ_AT(edgeq_eight_job, end, 4);
EDGEQ_AT(edgeq_eight_job, skip, 8);
EDGEQ_AT(edgeq_eight_job, bias, 12);
EDGEQ_AT(edgeq_eight_job, multiplier, 16);
EDGEQ_AT(edgeq_eight_job, shift, 20);
EDGEQ_AT(edgeq_eight_job, y, 24);
EDGEQ_AT(edgeq_eight_job, half, 28);
EDGEQ_AT(edgeq_eight_job, last, 32);
EDGEQ_AT(edgeq_eight_job, stop, 36);
EDGEQ_AT(edgeq_eight_job, less, 40);
EDGEQ_AT(edgeq_eight_job, chunk, 44);
EDGEQ_AT(edgeq_eight_job, weight, 48);

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
#define EDGEQ_FOUR_SCALES(a, b, c, d)                                                              \
    "ldm.w r6!, {r1-r4}\n"                                                                         \
    "lsl.w " a ", " a ", #1\n"                                                                     \
    "lsl.w " b ", " b ", #1\n"                                                                     \
    "lsl.w " c ", " c ", #1\n"                                                                     \
    "lsl.w " d ", " d ", #1\n"                                                                     \
    "smmulr " a ", " a ", r1\n"                                                                    \
    "smmulr " b ", " b ", r2\n"                                                                    \
    "smmulr " c ", " c ", r3\n"                                                                    \
    "smmulr " d ", " d ", r4\n"                                                                    \
    "add.w " a ", " a ", " a ", asr #31\n"                                                         \
    "add.w " b ", " b ", " b ", asr #31\n"                                                         \
    "add.w " c ", " c ", " c ", asr #31\n"                                                         \
    "add.w " d ", " d ", " d ", asr #31\n"
/* A shift by a register reads its low byte: -shift - 1. */
#define EDGEQ_FOUR_SHIFTS(a, b, c, d, by)                                                          \
    "asr.w " a ", " a ", " by "\n"                                                                 \
    "lsrs " by ", " by ", #8\n"                                                                    \
    "add " a ", r4\n"                                                                              \
    "asr.w " b ", " b ", " by "\n"                                                                 \
    "lsrs " by ", " by ", #8\n"                                                                    \
    "add " b ", r4\n"                                                                              \
    "asr.w " c ", " c ", " by "\n"                                                                 \
    "lsrs " by ", " by ", #8\n"                                                                    \
    "add " c ", r4\n"                                                                              \
    "asr.w " d ", " d ", " by "\n"                                                                 \
    "ssat " a ", #8, " a ", asr #1\n"                                                              \
    "ssat " b ", #8, " b ", asr #1\n"                                                              \
    "ssat " c ", #8, " c ", asr #1\n"                                                              \
    "add.w " d ", " d ", r4\n"                                                                     \
    "ssat " d ", #8, " d ", asr #1\n"
/* Into the frame what a chunk begins with; each row then sums from the one below. */
#define EDGEQ_PARK_EIGHT                                                                           \
    "str.w r7, [sp, #48]\n"                                                                        \
    "str.w r8, [sp, #52]\n"                                                                        \
    "str.w r9, [sp, #56]\n"                                                                        \
    "str.w r11, [sp, #60]\n"                                                                       \
    "str.w r12, [sp, #64]\n"                                                                       \
    "str.w lr, [sp, #68]\n"                                                                        \
    "mov r7, r5\n"                                                                                 \
    "mov r8, r5\n"                                                                                 \
    "mov r9, r5\n"                                                                                 \
    "mov r11, r10\n"                                                                               \
    "mov r12, r10\n"                                                                               \
    "mov lr, r10\n"

/* Groups of eight rows with all columns, to their outputs. Accumulators: r5, r7, r8, r9 of rows 0
 * to 3, each with those below; r10, r11, r12, lr of rows 4 to 7; r0 runs over the weights, four
 * bytes before them, r1 over x, r6 is the chunk's end. The frame holds the job without its weights
 * and the sums of rows 1 to 3 and 5 to 7 so far. A column pair is three loads in one run; masks
 * shrink the word in place. Every instruction of a pair takes four bytes, so that the loop can be
 * entered at any. */
__attribute__((naked, noinline)) static void edgeq_eight_rows(const edgeq_eight_job *job
                                                              __attribute__((unused))) {
    __asm__("push {r4-r11, lr}\n"
            "sub sp, sp, #76\n"
            "mov r12, sp\n"
            "ldm r0!, {r1-r8}\n"
            "adr.w r9, 1f\n"
            "add r3, r9\n"
            "stm r12!, {r1-r8}\n"
            "ldm r0, {r1-r5}\n"
            "stm r12, {r1-r4}\n"
            "subs r0, r5, #4\n"
            ".balign 4\n"
            "0:\n"
            "ldr r6, [sp, #12]\n"
            "ldr r1, [sp, #40]\n"
            "ldm.w r6!, {r5, r7-r12, lr}\n"
            "subs r5, r5, r1\n"
            "subs r7, r7, r1\n"
            "sub.w r8, r8, r1\n"
            "sub.w r10, r10, r1\n"
            "sub.w r11, r11, r1\n"
            "sub.w r12, r12, r1\n"
            EDGEQ_PARK_EIGHT
            "ldr r1, [sp, #0]\n"
            "ldr r2, [sp, #8]\n"
            "str r6, [sp, #12]\n" /* behind a load: costs nothing */
            "ldr r6, [sp, #4]\n"
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
            "blo.w 1b\n" /* then NE: the end of one chunk of several */
            "ldr r2, [sp, #48]\n"
            "ldr r3, [sp, #52]\n"
            "ldr r4, [sp, #56]\n"
            "ldr r6, [sp, #60]\n"
            "sub.w r9, r9, r8\n"
            "sub.w r8, r8, r7\n"
            "sub.w r7, r7, r5\n"
            "sub.w lr, lr, r12\n"
            "sub.w r12, r12, r11\n"
            "sub.w r11, r11, r10\n"
            "add.w r7, r2, r7, asr #4\n"
            "add.w r8, r3, r8, asr #8\n"
            "ldr r2, [sp, #64]\n"
            "ldr r3, [sp, #68]\n"
            "add.w r9, r4, r9, asr #12\n"
            "add.w r11, r6, r11, asr #4\n"
            "add.w r12, r2, r12, asr #8\n"
            "add.w lr, r3, lr, asr #12\n"
            "bne 4f\n"
            "6:\n"
            "ldr r6, [sp, #16]\n"
            EDGEQ_FOUR_SCALES("r5", "r7", "r8", "r9")
            EDGEQ_FOUR_SCALES("r10", "r11", "r12", "lr")
            "str r6, [sp, #16]\n"
            "ldr r6, [sp, #20]\n"
            "ldr r3, [r6, #4]\n"
            "ldr.w r2, [r6], #8\n"
            "ldr r4, [sp, #28]\n"
            "ldr r1, [sp, #24]\n"
            "str r6, [sp, #20]\n"
            "mvns r2, r2\n"
            "mvns r3, r3\n"
            EDGEQ_FOUR_SHIFTS("r5", "r7", "r8", "r9", "r2")
            EDGEQ_FOUR_SHIFTS("r10", "r11", "r12", "lr", "r3")
            "ldr r3, [sp, #32]\n"
            "strb.w r5, [r1], #8\n"
            "strb.w r7, [r1, #-7]\n"
            "strb.w r8, [r1, #-6]\n"
            "strb.w r9, [r1, #-5]\n"
            "strb.w r10, [r1, #-4]\n"
            "strb.w r11, [r1, #-3]\n"
            "strb.w r12, [r1, #-2]\n"
            "strb.w lr, [r1, #-1]\n"
            "str r1, [sp, #24]\n"
            "cmp r1, r3\n"
            "bls.w 0b\n"
            "add sp, sp, #76\n"
            "pop {r4-r11, pc}\n"
            "4:\n"
            "ldr r2, [sp, #36]\n"
            "cmp r1, r2\n"
            "beq 6b\n"
            EDGEQ_PARK_EIGHT
            "ldr r2, [sp, #44]\n"
            "adds r6, r1, r2\n"
            "b.w 1b\n");
}
/* clang-format on */
#else
static void edgeq_eight_rows(const edgeq_eight_job *job) {
    const uint32_t *w = job->weight;
    int32_t words = (job->chunk + 1) >> 2;
    for (int32_t row = 0; job->y + row <= job->last; row += EDGEQ_EIGHT) {
        int32_t sum[EDGEQ_EIGHT];
        int32_t less = job->less;
        for (int32_t i = 0; i < EDGEQ_EIGHT; i++) {
            sum[i] = job->bias[row + i];
        }
        for (const uint32_t *x = job->x; x != job->stop; less = 0) {
            int32_t n = job->stop - x < words ? (int32_t)(job->stop - x) : words;
            edgeq_row_fours(w, x, 2 * n, sum, sum, less, 2);
            x += n;
            w += 2 * n;
        }
        for (int32_t i = 0; i < EDGEQ_EIGHT; i++) {
            job->y[row + i] = edgeq_fours_output(job, sum[i], row + i);
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

/* The last rows, four at a time; missing ones have weights of 0. */
static void edgeq_last_fours(const edgeq_eight_job *job, const uint32_t *w, int32_t row,
                             int32_t outputs) {
    int32_t chunk = (job->chunk + 1) >> 1;
    int32_t columns = 2 * (int32_t)(job->stop - job->x);
    for (; row < outputs; row += EDGEQ_FOUR) {
        int32_t sum[EDGEQ_FOUR];
        int32_t n;
        for (int32_t i = 0; i < EDGEQ_FOUR; i++) {
            sum[i] = row + i < outputs ? job->bias[row + i] : 0;
        }
        for (int32_t at = 0; at < columns; at += n) {
            n = columns - at < chunk ? columns - at : chunk;
            int32_t once = at == 0 ? job->less : 0;
            edgeq_four_rows(w, job->x + (at >> 1), n, sum, sum, once, EDGEQ_FOUR);
            w += n >> 1;
        }
        for (int32_t i = 0; i < EDGEQ_FOUR && row + i < outputs; i++) {
            job->y[row + i] = edgeq_fours_output(job, sum[i], row + i);
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
    job.end = (const int8_t *)(spread + first) - (first < words);
    job.skip = (-words & (EDGEQ_TURN_PAIRS - 1)) * EDGEQ_PAIR_CODE + 1; /* Thumb code */
    job.chunk = 2 * chunk - 1;
    job.bias = p->bias;
    job.multiplier = p->multiplier;
    job.shift = p->shift;
    job.y = y;
    job.half = 2 * p->output_zero_point + 1;
    job.weight = p->weight;
    job.less = 8 * edgeq_spread(x, p->inputs, spread);
    int32_t row = p->outputs & ~(EDGEQ_EIGHT - 1);
    const edgeq_eight_job *all = &job;
    if (row > 0) {
        job.last = y + p->outputs - EDGEQ_EIGHT;
        EDGEQ_IN_MEMORY(all);
        edgeq_eight_rows(all);
    }
    edgeq_last_fours(all, job.weight + (row >> 2) * words, row, p->outputs);
    if (p->activation_max - p->activation_min < 255) { /* only saturated so far */
        for (int32_t i = 0; i < p->outputs; i++) {
            y[i] = (int8_t)edgeq_clamp(y[i], p->activation_min, p->activation_max);
        }
    }
}

#endif
