/* FullyConnected, int8 activations and 8-bit weights in -127..127: two rows in one multiply.
 *
 * A half of the stream is a + 256 b for the weights a and b of two rows in one column, so a word is
 * two rows by two columns. SMLAD of the raw word adds a x + 256 b x; SXTB16 leaves a, and a second
 * SMLAD adds a x alone. Groups have six rows (three words a column pair), at the end two (one
 * word).
 *
 * Example, rows 0 and 1 of four columns: [1 2 3 4] and [-1 0 5 -2]. Halves: FF01 0002 0503 FE04.
 * Columns 0 and 2, then 1 and 3 share a word: 0503FF01, FE040002 (with six rows two more words for
 * rows 2 to 5 stand behind each).
 *
 * Exact: row b is (raw - low) >> 8, and the difference is 256 sum b x modulo 2^32. Within a chunk
 * of 512 columns |sum b x| <= 512 * 127 * 128 < 2^23, so no bit is lost whatever the data; chunks
 * add.
 */
#include <stdbool.h>

#include "edgeq_fully_connected_dsp.h"
#include "edgeq_kernels_dsp.h"

/* Blocks of eight columns in a turn of the loop over six rows: the code stays inside a small cache.
 * A chunk is whole turns. */
#if EDGEQ_SHORT_LOOPS
#define UNROLLED     3
#define CHUNK_BLOCKS 63
#else
#define UNROLLED     4
#define CHUNK_BLOCKS 64
#endif
enum { ROWS = 6, BLOCK_BYTES = 208, BLOCK_WORDS = 4 };

/* What groups of six rows read and write. The assembly knows the order. */
typedef struct {
    const uint32_t *x;
    int32_t chunk_end; /* the frame's, where there is no FPU */
    const int8_t *end; /* of the first chunk, a byte less if it is not all */
    int32_t skip;      /* bytes of the loop that are left out in its first turn, and 1 */
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int8_t *y;
    int32_t half;       /* the doubled zero point of the output and 1 */
    const int8_t *last; /* outputs of a group */
    const uint32_t *stop;
    const uint32_t *weight;
} edgeq_six_job;

/* Adds the products of some columns to the sums of `pairs` pairs of rows; with assembly, which has
 * six rows elsewhere, of one pair. */
static inline void edgeq_row_pairs(const uint32_t *w, const uint32_t *x, const uint32_t *end,
                                   int32_t *to, int32_t pairs) {
    for (int32_t j = 0; j < pairs; j++, to += 2) {
        const uint32_t *word = w + j;
        const uint32_t *half = x;
        int32_t low = to[0];
        int32_t both = low;
#if EDGEQ_DSP_ASM
        uint32_t a, b, c, d;
        __asm__ volatile("1:\n"
                         ".rept 2\n"
                         "ldr.w %[a], [%[word], #4]\n"
                         "ldr.w %[b], [%[word]], #8\n"
                         "ldr.w %[c], [%[half], #4]\n"
                         "ldr.w %[d], [%[half]], #8\n"
                         "smlad %[both], %[a], %[c], %[both]\n"
                         "sxtb16 %[a], %[a]\n"
                         "smlad %[low], %[a], %[c], %[low]\n"
                         "smlad %[both], %[b], %[d], %[both]\n"
                         "sxtb16 %[b], %[b]\n"
                         "smlad %[low], %[b], %[d], %[low]\n"
                         ".endr\n"
                         "cmp %[half], %[end]\n"
                         "bne 1b"
                         : [word] "+r"(word), [half] "+r"(half), [low] "+r"(low), [both] "+r"(both),
                           [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
                         : [end] "r"(end)
                         : "cc", "memory");
#else
        for (; half != end; half += 4, word += 4 * pairs) {
            uint32_t a = word[0];
            uint32_t b = word[pairs];
            uint32_t c = word[2 * pairs];
            uint32_t d = word[3 * pairs];
            both = edgeq_smlad(a, half[0], both);
            both = edgeq_smlad(b, half[1], both);
            both = edgeq_smlad(c, half[2], both);
            both = edgeq_smlad(d, half[3], both);
            low = edgeq_smlad(edgeq_sxtb16(a), half[0], low);
            low = edgeq_smlad(edgeq_sxtb16(b), half[1], low);
            low = edgeq_smlad(edgeq_sxtb16(c), half[2], low);
            low = edgeq_smlad(edgeq_sxtb16(d), half[3], low);
        }
#endif
        to[0] = low;
        to[1] = edgeq_wrapping_add(to[1], edgeq_wrapping_sub(both, low) >> 8);
    }
}

/* All columns of a group, chunk by chunk. Returns where the next group begins. */
static inline const uint32_t *edgeq_row_chunks(const edgeq_six_job *job, const uint32_t *w,
                                               int32_t *to, int32_t pairs) {
    const uint32_t *x = job->x;
    while (x != job->stop) {
        int32_t words = (int32_t)(job->stop - x);
        words = words < BLOCK_WORDS * CHUNK_BLOCKS ? words : BLOCK_WORDS * CHUNK_BLOCKS;
        edgeq_row_pairs(w, x, x + words, to, pairs);
        x += words;
        w += words * pairs;
    }
    return w;
}

static inline int8_t edgeq_row_output(const edgeq_six_job *job, int32_t sum, int32_t row) {
    int32_t v = edgeq_high_product(sum, job->multiplier[row]);
    v = ((v + (v >> 31)) >> ~job->shift[row]) + job->half;
    return (int8_t)edgeq_saturate_half(v);
}

#if EDGEQ_DSP_ASM
EDGEQ_AT(edgeq_six_job, x, 0);
EDGEQ_AT(edgeq_six_job, chunk_end, 4);
EDGEQ_AT(edgeq_six_job, end, 8);
EDGEQ_AT(edgeq_six_job, skip, 12);
EDGEQ_AT(edgeq_six_job, bias, 16);
EDGEQ_AT(edgeq_six_job, multiplier, 20);
EDGEQ_AT(edgeq_six_job, shift, 24);
EDGEQ_AT(edgeq_six_job, y, 28);
EDGEQ_AT(edgeq_six_job, half, 32);
EDGEQ_AT(edgeq_six_job, last, 36);
EDGEQ_AT(edgeq_six_job, stop, 40);
EDGEQ_AT(edgeq_six_job, weight, 44);

#define STRING_(x)  #x
#define STRING(x)   STRING_(x)
#define CHUNK_BYTES "16 * " STRING(CHUNK_BLOCKS)
/* The end of a chunk, to and from a register: in s4, as a load would have to be waited for, or in
 * the frame where there is no FPU. */
#if defined(__ARM_PCS_VFP)
#define USES_FPU      ".fpu fpv4-sp-d16\n" /* zig takes this core to have none */
#define PUT_END(from) "vmov s4, " from "\n"
#define GET_END(to)   "vmov " to ", s4\n"
#else
#define USES_FPU      ""
#define PUT_END(from) "str.w " from ", [sp, #4]\n"
#define GET_END(to)   "ldr.w " to ", [sp, #4]\n"
#endif

/* clang-format off */
#define PRODUCT(w, x, low, both)                                                                   \
    "smlad " both ", " w ", " x ", " both "\n"                                                     \
    "sxtb16 " w ", " w "\n"                                                                        \
    "smlad " low ", " w ", " x ", " low "\n"
#define SCALE(a, m)                                                                                \
    "smmulr " a ", " a ", " m "\n"
#define ROUND(a)                                                                                   \
    "add.w " a ", " a ", " a ", asr #31\n"
#define ADD_HALF(a)                                                                                \
    "add " a ", " a ", r4\n"
#define SATURATE(a)                                                                                \
    "ssat " a ", #8, " a ", asr #1\n"
/* Into the frame what a chunk begins with; each upper row then sums on the one below. */
#define PARK_SIX                                                                                   \
    "str.w r8, [sp, #44]\n"                                                                        \
    "str.w r10, [sp, #48]\n"                                                                       \
    "str.w r12, [sp, #52]\n"                                                                       \
    "mov r8, r7\n"                                                                                 \
    "mov r10, r9\n"                                                                                \
    "mov r12, r11\n"

/* Groups of six rows with all columns, to their outputs. Accumulators: r7, r9, r11 of rows 0, 2, 4, r8, r10,
 * r12 with the row above on top; r0 runs over the weights, four bytes before them, r1 over x. The
 * frame holds the job without its weights and the sums of rows 1, 3, 5 so far. Eight columns are 16
 * loads in three runs, as long as the six free registers allow: a run costs one cycle on top. Every
 * instruction of a block takes four bytes, so that the loop can be entered at any. */
__attribute__((naked, noinline)) static void edgeq_six_rows(const edgeq_six_job *job
                                                            __attribute__((unused))) {
    __asm__(USES_FPU
            "push {r4-r11, lr}\n"
            "sub sp, sp, #60\n"
            "mov r12, sp\n"
            "ldm r0!, {r1-r8}\n"
            "adr.w r9, 1f\n"
            "add r4, r9\n"
            "stm r12!, {r1-r8}\n"
            "ldm r0, {r1-r4}\n"
            "stm r12, {r1-r3}\n"
            "subs r0, r4, #4\n"
            "ldr r2, [sp, #8]\n"
            PUT_END("r2")
            ".balign 4\n"
            "0:\n"
            "ldr r6, [sp, #16]\n"
            "ldm.w r6!, {r7-r12}\n"
            PARK_SIX
            "ldr r1, [sp, #0]\n"
            "ldr.w lr, [sp, #12]\n"
            "str r6, [sp, #16]\n" /* behind a load: costs nothing */
            "bx lr\n"
            ".balign 4\n"
            "1:\n"
            ".rept " STRING(UNROLLED) "\n"
            "ldr.w r2, [r1], #4\n"
            "ldr.w r3, [r0, #4]\n"
            "ldr.w r4, [r0, #8]\n"
            "ldr.w r5, [r0, #12]\n"
            "ldr.w r6, [r1], #4\n"
            "ldr.w lr, [r0, #16]\n"
            PRODUCT("r3", "r2", "r7", "r8")
            PRODUCT("r4", "r2", "r9", "r10")
            PRODUCT("r5", "r2", "r11", "r12")
            PRODUCT("lr", "r6", "r7", "r8")
            "ldr.w r2, [r1], #4\n"
            "ldr.w r3, [r0, #20]\n"
            "ldr.w r4, [r0, #24]\n"
            "ldr.w r5, [r0, #28]\n"
            "ldr.w lr, [r0, #32]\n"
            PRODUCT("r3", "r6", "r9", "r10")
            PRODUCT("r4", "r6", "r11", "r12")
            PRODUCT("r5", "r2", "r7", "r8")
            PRODUCT("lr", "r2", "r9", "r10")
            "ldr.w r6, [r1], #4\n"
            "ldr.w r3, [r0, #36]\n"
            "ldr.w r4, [r0, #40]\n"
            "ldr.w r5, [r0, #44]\n"
            "ldr.w lr, [r0, #48]!\n"
            PRODUCT("r3", "r2", "r11", "r12")
            PRODUCT("r4", "r6", "r7", "r8")
            PRODUCT("r5", "r6", "r9", "r10")
            PRODUCT("lr", "r6", "r11", "r12")
            ".endr\n"
            GET_END("r4")
            "cmp r1, r4\n"
            "blo.w 1b\n"
            "3:\n" /* NE: the end of one chunk of several */
            "sub.w r8, r8, r7\n"
            "sub.w r10, r10, r9\n"
            "sub.w r12, r12, r11\n"
            "ldr r2, [sp, #44]\n"
            "ldr r3, [sp, #48]\n"
            "ldr r4, [sp, #52]\n"
            "ldr r6, [sp, #20]\n"
            "add.w r8, r2, r8, asr #8\n"
            "add.w r10, r3, r10, asr #8\n"
            "add.w r12, r4, r12, asr #8\n"
            "bne 4f\n"
            "6:\n"
            "ldm.w r6!, {r1-r5, lr}\n"
            "str r6, [sp, #20]\n"
            "lsl.w r7, r7, #1\n"
            "lsl.w r8, r8, #1\n"
            "lsl.w r9, r9, #1\n"
            "lsl.w r10, r10, #1\n"
            "lsl.w r11, r11, #1\n"
            "lsl.w r12, r12, #1\n"
            SCALE("r7", "r1") SCALE("r8", "r2") SCALE("r9", "r3")
            SCALE("r10", "r4") SCALE("r11", "r5") SCALE("r12", "lr")
            ROUND("r7") ROUND("r8") ROUND("r9") ROUND("r10") ROUND("r11") ROUND("r12")
            "ldr r6, [sp, #24]\n"
            "ldrh r3, [r6, #4]\n"
            "ldr.w r2, [r6], #6\n"
            "ldr r4, [sp, #32]\n"
            "ldr r5, [sp, #28]\n"
            "ldr.w lr, [sp, #36]\n"
            "str r6, [sp, #24]\n"
            /* a shift by a register reads its low byte: -shift - 1 */
            "mvns r2, r2\n"
            "mvns r3, r3\n"
            "asrs r7, r2\n"
            "asr.w r11, r11, r3\n"
            "lsrs r2, r2, #8\n"
            "lsrs r3, r3, #8\n"
            "asr.w r8, r8, r2\n"
            "asr.w r12, r12, r3\n"
            "lsrs r2, r2, #8\n"
            "asr.w r9, r9, r2\n"
            "lsrs r2, r2, #8\n"
            "asr.w r10, r10, r2\n"
            ADD_HALF("r7") ADD_HALF("r8") ADD_HALF("r9")
            ADD_HALF("r10") ADD_HALF("r11") ADD_HALF("r12")
            SATURATE("r7") SATURATE("r8") SATURATE("r9")
            SATURATE("r10") SATURATE("r11") SATURATE("r12")
            "strb.w r8, [r5, #1]\n"
            "strb.w r9, [r5, #2]\n"
            "strb.w r10, [r5, #3]\n"
            "strb.w r11, [r5, #4]\n"
            "strb.w r12, [r5, #5]\n"
            "strb.w r7, [r5], #6\n"
            "str r5, [sp, #28]\n"
            "cmp r5, lr\n"
            "bls.w 0b\n"
            "add sp, sp, #60\n"
            "pop {r4-r11, pc}\n"
            "4:\n"
            "ldr r2, [sp, #40]\n"
            "cmp r1, r2\n"
            "beq 5f\n"
            PARK_SIX
            "addw r2, r1, #" CHUNK_BYTES " - 1\n"
            PUT_END("r2")
            "b.w 1b\n"
            "5:\n"
            "ldr r2, [sp, #8]\n"
            PUT_END("r2")
            "b.w 6b\n");
}
/* clang-format on */
#else
static void edgeq_six_rows(const edgeq_six_job *job) {
    const uint32_t *w = job->weight;
    int32_t row = 0;
    for (; job->y + row <= job->last; row += ROWS) {
        int32_t sum[ROWS];
        for (int32_t i = 0; i < ROWS; i++) {
            sum[i] = job->bias[row + i];
        }
        w = edgeq_row_chunks(job, w, sum, ROWS / 2);
        for (int32_t i = 0; i < ROWS; i++) {
            job->y[row + i] = edgeq_row_output(job, sum[i], row + i);
        }
    }
}
#endif

/* The last rows, two at a time; a missing one has weights of 0. */
static void edgeq_two_rows(const edgeq_six_job *job, const uint32_t *w, int32_t row,
                           int32_t outputs) {
    for (; row < outputs; row += 2) {
        bool both = row + 1 < outputs;
        int32_t sum[2] = {job->bias[row], both ? job->bias[row + 1] : 0};
        w = edgeq_row_chunks(job, w, sum, 1);
        job->y[row] = edgeq_row_output(job, sum[0], row);
        if (both) {
            job->y[row + 1] = edgeq_row_output(job, sum[1], row + 1);
        }
    }
}

EDGEQ_KERNEL void edgeq_fully_connected_s8_s8_dsp(const edgeq_fully_connected_params *p,
                                                  const int8_t *x, int8_t *y, void *scratch) {
    uint32_t *spread = scratch;
    int32_t words = edgeq_padded_columns(p->inputs) >> 1;
    int32_t first = words;
    while (first > BLOCK_WORDS * CHUNK_BLOCKS) {
        first -= BLOCK_WORDS * CHUNK_BLOCKS;
        EDGEQ_STEPS(first);
    }
    int32_t skip = -first;
    while (skip < 0) {
        skip += BLOCK_WORDS * UNROLLED;
        EDGEQ_STEPS(skip);
    }
    edgeq_six_job job;
    job.x = spread;
    job.stop = spread + words;
    job.end = (const int8_t *)(spread + first) - (first < words);
    job.skip = skip * (BLOCK_BYTES / BLOCK_WORDS) + 1; /* Thumb code */
    job.bias = p->bias;
    job.multiplier = p->multiplier;
    job.shift = p->shift;
    job.y = y;
    job.half = 2 * p->output_zero_point + 1;
    job.weight = p->weight;
    (void)edgeq_spread(x, p->inputs, spread);
    int32_t groups = p->outputs / ROWS;
    const edgeq_six_job *all = &job;
    if (groups > 0) {
        job.last = y + p->outputs - ROWS;
        EDGEQ_IN_MEMORY(all);
        edgeq_six_rows(all);
    }
    edgeq_two_rows(all, job.weight + groups * (ROWS / 2) * words, ROWS * groups, p->outputs);
    if (p->activation_max - p->activation_min < 255) { /* only saturated so far */
        for (int32_t i = 0; i < p->outputs; i++) {
            y[i] = (int8_t)edgeq_clamp(y[i], p->activation_min, p->activation_max);
        }
    }
}
