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
 * Biases, multipliers and shifts are a table, see edgeq_row_table_dsp.h; its 2 tells of a row's sum
 * of |w| above 65535.
 *
 * Exact: row b is (raw - low) >> 8, and the difference is 256 sum b x modulo 2^32. No bit is lost
 * while |sum b x| < 2^23: in rows whose |w| add up to 65535 at most, and in any chunk of 512
 * columns, 512 * 127 * 128; chunks add.
 */
#include <stdbool.h>

#include "edgeq_kernels_dsp.h"
#include "edgeq_row_table_dsp.h"

/* Blocks of eight columns in a turn of the loop over six rows: the code stays inside a small cache.
 * A chunk is whole turns. */
#if EDGEQ_SHORT_LOOPS
#define UNROLLED     3
#define CHUNK_BLOCKS 63
#else
#define UNROLLED     8
#define CHUNK_BLOCKS 64
#endif
enum { ROWS = 6, BLOCK_BYTES = 208, BLOCK_WORDS = 4 };

/* What groups of six rows read and write. The assembly knows the order. */
typedef struct {
    const uint32_t *x;
    const int8_t *end; /* of the first chunk, a byte less if it is not all or a shift is far */
    int32_t skip;      /* bytes of the loop that are left out in its first turn, and 1 */
    const int32_t *table;
    int8_t *y;
    int32_t zero_point;
    const int8_t *last; /* outputs of a group */
    const uint32_t *weight;
    const uint32_t *stop;
    int32_t far; /* 1 if a shift is */
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
    int32_t words = (int32_t)(job->end + 1 - (const int8_t *)job->x) >> 2;
    for (const uint32_t *x = job->x; x != job->stop; words = BLOCK_WORDS * CHUNK_BLOCKS) {
        edgeq_row_pairs(w, x, x + words, to, pairs);
        x += words;
        w += words * pairs;
    }
    return w;
}

#if EDGEQ_DSP_ASM
EDGEQ_AT(edgeq_six_job, x, 0);
EDGEQ_AT(edgeq_six_job, end, 4);
EDGEQ_AT(edgeq_six_job, skip, 8);
EDGEQ_AT(edgeq_six_job, table, 12);
EDGEQ_AT(edgeq_six_job, y, 16);
EDGEQ_AT(edgeq_six_job, zero_point, 20);
EDGEQ_AT(edgeq_six_job, last, 24);
EDGEQ_AT(edgeq_six_job, weight, 28);
EDGEQ_AT(edgeq_six_job, stop, 32);
EDGEQ_AT(edgeq_six_job, far, 36);

#define STRING_(x)  #x
#define STRING(x)   STRING_(x)
#define CHUNK_BYTES "16 * " STRING(CHUNK_BLOCKS)
/* clang-format off */
#define PRODUCT(w, x, low, both)                                                                   \
    "smlad " both ", " w ", " x ", " both "\n"                                                     \
    "sxtb16 " w ", " w "\n"                                                                        \
    "smlad " low ", " w ", " x ", " low "\n"
#define NEXT_SIX_WORDS "ldm.w r1!, {r2-r6, lr}\n"
/* The doubled sums, those of rows 1, 3, 5 by `shift`. */
#define DOUBLE(shift)                                                                              \
    EDGEQ_GET("r1", EDGEQ_TABLE)                                                                              \
    NEXT_SIX_WORDS                                                                                 \
    "add.w r7, r2, r7, lsl #1\n"                                                                   \
    "add.w r8, r3, r8, " shift "\n"                                                                \
    "add.w r9, r4, r9, lsl #1\n"                                                                   \
    "add.w r10, r5, r10, " shift "\n"                                                              \
    "add.w r11, r6, r11, lsl #1\n"                                                                 \
    "add.w r12, lr, r12, " shift "\n"
#define SCALE_SIX                                                                                  \
    NEXT_SIX_WORDS                                                                                 \
    EDGEQ_SCALE("r7", "r2") EDGEQ_SCALE("r8", "r3") EDGEQ_SCALE("r9", "r4")                                          \
    EDGEQ_SCALE("r10", "r5") EDGEQ_SCALE("r11", "r6") EDGEQ_SCALE("r12", "lr")                                       \
    NEXT_SIX_WORDS                                                                                 \
    EDGEQ_PUT("r1", EDGEQ_TABLE)                                                                              \
    EDGEQ_GET("r1", EDGEQ_ZERO_POINT)
#define CLEAR_SUMS                                                                                 \
    "movs r2, #0\n"                                                                                \
    "str r2, [sp, #40]\n"                                                                          \
    "str r2, [sp, #44]\n"                                                                          \
    "str r2, [sp, #48]\n"
/* Into the frame what a chunk begins with; each upper row then sums on the one below. */
#define PARK_SIX                                                                                   \
    "str.w r8, [sp, #40]\n"                                                                        \
    "str.w r10, [sp, #44]\n"                                                                       \
    "str.w r12, [sp, #48]\n"                                                                       \
    "mov r8, r7\n"                                                                                 \
    "mov r10, r9\n"                                                                                \
    "mov r12, r11\n"

/* Groups of six rows with all columns, to their outputs. Accumulators: r7, r9, r11 of rows 0, 2, 4, r8, r10,
 * r12 with the row above on top; r0 runs over the weights, four bytes before them, r1 over x. The
 * frame holds the first chunk's end, the rest of the job and the sums of rows 1, 3, 5 so far. Eight columns are 16
 * loads in three runs, as long as the six free registers allow: a run costs one cycle on top. Every
 * instruction of a block takes four bytes, so that the loop can be entered at any. */
__attribute__((naked, noinline)) static void edgeq_six_rows(const edgeq_six_job *job
                                                            __attribute__((unused))) {
    __asm__(EDGEQ_ROWS_FPU
            "push {r4-r11, lr}\n"
            "sub sp, sp, #52\n"
            "ldm r0!, {r1-r8}\n"
            "ldm r0, {r9, r10}\n"
            "adr.w r11, 1f\n"
            "add r3, r11\n"
            "str r2, [sp, #28]\n"
            "str.w r9, [sp, #32]\n"
            "str.w r10, [sp, #36]\n"
            EDGEQ_PUT("r1", EDGEQ_X) EDGEQ_PUT("r2", EDGEQ_CHUNK_END) EDGEQ_PUT("r3", EDGEQ_ENTRY) EDGEQ_PUT("r4", EDGEQ_TABLE)
            EDGEQ_PUT("r5", EDGEQ_Y) EDGEQ_PUT("r6", EDGEQ_ZERO_POINT) EDGEQ_PUT("r7", EDGEQ_LAST)
            CLEAR_SUMS
            "sub.w r0, r8, #4\n"
            ".balign 4\n"
            "0:\n"
            "mov.w r7, #0\n"
            "mov.w r8, #0\n"
            "mov.w r9, #0\n"
            "mov.w r10, #0\n"
            "mov.w r11, #0\n"
            "mov.w r12, #0\n"
            EDGEQ_GET("r1", EDGEQ_X)
            EDGEQ_GET("lr", EDGEQ_ENTRY)
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
            EDGEQ_GET("r4", EDGEQ_CHUNK_END)
            "cmp.w r1, r4\n"
            "blo.w 1b\n"
            "sub.w r8, r8, r7\n"
            "sub.w r10, r10, r9\n"
            "sub.w r12, r12, r11\n"
            "bne.w 4f\n" /* one chunk of several, or a shift is far */
            DOUBLE("asr #7")
            "6:\n"
            SCALE_SIX
            EDGEQ_DIVIDE("r7", "r2", "r1") EDGEQ_DIVIDE("r8", "r3", "r1") EDGEQ_DIVIDE("r9", "r4", "r1")
            EDGEQ_DIVIDE("r10", "r5", "r1") EDGEQ_DIVIDE("r11", "r6", "r1") EDGEQ_DIVIDE("r12", "lr", "r1")
            EDGEQ_SATURATE("r7") EDGEQ_SATURATE("r8") EDGEQ_SATURATE("r9")
            EDGEQ_SATURATE("r10") EDGEQ_SATURATE("r11") EDGEQ_SATURATE("r12")
            "7:\n"
            EDGEQ_GET("r2", EDGEQ_Y)
            EDGEQ_GET("r3", EDGEQ_LAST)
            "strb.w r8, [r2, #1]\n"
            "strb.w r9, [r2, #2]\n"
            "strb.w r10, [r2, #3]\n"
            "strb.w r11, [r2, #4]\n"
            "strb.w r12, [r2, #5]\n"
            "strb.w r7, [r2], #6\n"
            EDGEQ_PUT("r2", EDGEQ_Y)
            "cmp.w r2, r3\n"
            "bls.w 0b\n"
            "add sp, sp, #52\n"
            "pop {r4-r11, pc}\n"
            "4:\n"
            "ldr r2, [sp, #40]\n"
            "ldr r3, [sp, #44]\n"
            "ldr r4, [sp, #48]\n"
            "ldr r5, [sp, #32]\n"
            "add.w r8, r2, r8, asr #8\n"
            "add.w r10, r3, r10, asr #8\n"
            "add.w r12, r4, r12, asr #8\n"
            "cmp r1, r5\n"
            "beq 5f\n"
            PARK_SIX
            "addw r2, r1, #" CHUNK_BYTES " - 1\n"
            EDGEQ_PUT("r2", EDGEQ_CHUNK_END)
            "b.w 1b\n"
            "5:\n"
            CLEAR_SUMS
            "ldr r2, [sp, #28]\n"
            EDGEQ_PUT("r2", EDGEQ_CHUNK_END)
            DOUBLE("lsl #1")
            "ldr r2, [sp, #36]\n"
            "cmp r2, #0\n"
            "beq.w 6b\n"
            SCALE_SIX
            "lsls r1, r1, #1\n"
            "adds r1, r1, #1\n"
            EDGEQ_DIVIDE_FAR("r7", "r2", "r1") EDGEQ_DIVIDE_FAR("r8", "r3", "r1") EDGEQ_DIVIDE_FAR("r9", "r4", "r1")
            EDGEQ_DIVIDE_FAR("r10", "r5", "r1") EDGEQ_DIVIDE_FAR("r11", "r6", "r1") EDGEQ_DIVIDE_FAR("r12", "lr", "r1")
            "b.w 7b\n");
}
/* clang-format on */
#else
static void edgeq_six_rows(const edgeq_six_job *job) {
    const uint32_t *w = job->weight;
    const int32_t *table = job->table;
    for (int8_t *y = job->y; y <= job->last; y += ROWS, table += 3 * ROWS) {
        int32_t sum[ROWS] = {0, 0, 0, 0, 0, 0};
        w = edgeq_row_chunks(job, w, sum, ROWS / 2);
        for (int32_t i = 0; i < ROWS; i++) {
            y[i] = edgeq_table_output(table + i, ROWS, sum[i], job->zero_point);
        }
    }
}
#endif

/* The last `rows` rows, two at a time; a missing one has weights of 0. */
static void edgeq_two_rows(const edgeq_six_job *job, const uint32_t *w, const int32_t *table,
                           int8_t *y, int32_t rows) {
    for (int32_t i = 0; i < rows; i += 2) {
        int32_t sum[2] = {0, 0};
        w = edgeq_row_chunks(job, w, sum, 1);
        y[i] = edgeq_table_output(table + i, rows, sum[0], job->zero_point);
        if (i + 1 < rows) {
            y[i + 1] = edgeq_table_output(table + i + 1, rows, sum[1], job->zero_point);
        }
    }
}

EDGEQ_KERNEL void edgeq_fully_connected_s8_s8_dsp(const edgeq_fully_connected_params *p,
                                                  const int8_t *x, int8_t *y, void *scratch) {
    uint32_t *spread = scratch;
    int32_t words = edgeq_padded_columns(p->inputs) >> 1;
    int32_t flags = p->bias[0];
    int32_t first = words;
    while ((flags & EDGEQ_LONG_ROWS) != 0 && first > BLOCK_WORDS * CHUNK_BLOCKS) {
        first -= BLOCK_WORDS * CHUNK_BLOCKS;
        EDGEQ_STEPS(first);
    }
    int32_t skip = (UNROLLED - first / BLOCK_WORDS % UNROLLED) % UNROLLED;
    edgeq_six_job job;
    job.x = spread;
    job.stop = spread + words;
    job.far = flags & EDGEQ_FAR_SHIFTS;
    job.end = (const int8_t *)(spread + first) - (first < words || job.far != 0);
    job.skip = skip * BLOCK_BYTES + 1; /* Thumb code */
    job.table = p->bias + 1;
    job.y = y;
    job.zero_point = p->output_zero_point;
    job.weight = p->weight;
    (void)edgeq_spread(x, p->inputs, spread);
    int32_t groups = p->outputs / ROWS;
    int32_t done = ROWS * groups;
    const edgeq_six_job *all = &job;
    if (groups > 0) {
        job.last = y + p->outputs - ROWS;
        EDGEQ_IN_MEMORY(all);
        edgeq_six_rows(all);
    }
    edgeq_two_rows(all, job.weight + groups * (ROWS / 2) * words, job.table + 3 * done, y + done,
                   p->outputs - done);
    if (p->activation_max - p->activation_min < 255) { /* only saturated so far */
        for (int32_t i = 0; i < p->outputs; i++) {
            y[i] = (int8_t)edgeq_clamp(y[i], p->activation_min, p->activation_max);
        }
    }
}
