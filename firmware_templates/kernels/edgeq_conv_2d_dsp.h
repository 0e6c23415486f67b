/* Convolutions on DSP cores: two output pixels at a time.
 *
 * The patches of two output pixels are gathered into scratch as 16-bit halves, once for all output
 * channels; cells outside the map hold the input zero point. Columns are the weight's (kernel
 * height, kernel width, channels) flat, in groups of four. A group takes four words:
 *
 *   pixel 0: columns (0, 2)   pixel 1: columns (0, 2)   pixel 0: (1, 3)   pixel 1: (1, 3)
 *
 * (first column of each in the low half): what SXTB16 makes of a word, and of the word turned by
 * eight bits. A kernel then takes four rows (output channels) with both pixels: a word of weights
 * serves two multiplies. Rows are padded to blocks of four with zero weights, columns to groups.
 */
#ifndef EDGEQ_CONV_2D_DSP_H
#define EDGEQ_CONV_2D_DSP_H

#include <stdbool.h>

#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

/* Four rows (or a multiple of it) with the patches of two pixels. */
typedef struct {
    const uint32_t *weight;
    const uint32_t *patch;
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int8_t *y[2];
    int32_t rows;
    int32_t pairs;    /* of columns, even */
    int32_t rounding; /* 2 * output zero point + 1 */
    int32_t sum[2];   /* of a pixel's activations, where EDGEQ_CONV_SUMS asks for it */
} edgeq_pair_job;

typedef void edgeq_pair_kernel(const edgeq_pair_job *job);

/* What a weight format passes to the loop over pixels. */
typedef struct {
    edgeq_pair_kernel *kernel;
    int32_t word_shift; /* a block of four rows has 2 * pairs >> word_shift words */
    int32_t group;      /* columns are padded to a multiple of it, 4 or 8 */
} edgeq_conv_format;

/* The last steps of a row for one pixel; `rounding` carries the zero point past the halving. */
static inline int8_t edgeq_pair_output(uint32_t acc, int32_t multiplier, int32_t shift,
                                       int32_t rounding) {
    int32_t v = edgeq_smmulr((int32_t)(acc << 1), multiplier);
    v += v >> 31;
    return (int8_t)edgeq_clamp(((v >> ~shift) + rounding) >> 1, -128, 127);
}

#if EDGEQ_DSP_ASM
/* Pieces of the pair kernels. The accumulators of rows 0..3 are r4..r7 for pixel 0 and r8..r11 for
 * pixel 1; r0 runs over the weights, r1 over the patch; r2, r3, r12 and lr are free. Frame of a
 * kernel, from sp: eight words of its own, then these. */
#define EDGEQ_F_PATCH      "[sp, #32]"
#define EDGEQ_F_BIAS       "[sp, #36]"
#define EDGEQ_F_MULTIPLIER "[sp, #40]"
#define EDGEQ_F_ENTRY      "[sp, #44]"
#define EDGEQ_F_CHUNK_END  "[sp, #48]"
#define EDGEQ_F_SHIFT      "[sp, #92]"
#define EDGEQ_F_Y0         "[sp, #96]"
#define EDGEQ_F_Y1         "[sp, #100]"
#define EDGEQ_F_Y0_END     "[sp, #104]"
#define EDGEQ_F_ROUNDING   "[sp, #108]"
#define EDGEQ_F_SKIP       "[sp, #112]"
#define EDGEQ_F_FIRST_END  "[sp, #116]"
#define EDGEQ_F_END        "[sp, #120]"
#define EDGEQ_F_SUM0       "[sp, #124]"
#define EDGEQ_F_SUM1       "[sp, #128]"

#define EDGEQ_TWICE(code)   code code
#define EDGEQ_8_TIMES(code) EDGEQ_TWICE(EDGEQ_TWICE(EDGEQ_TWICE(code)))

/* The first four words of the frame. */
#define EDGEQ_PAIR_CLEAR                                                                           \
    "movs r2, #0\n"                                                                                \
    "str r2, [sp, #0]\n"                                                                           \
    "str r2, [sp, #4]\n"                                                                           \
    "str r2, [sp, #8]\n"                                                                           \
    "str r2, [sp, #12]\n"

/* Label 1 is where the unrolled loop begins: `skip` bytes of it are left out the first time. */
#define EDGEQ_PAIR_ENTER                                                                           \
    "push {r4-r11, lr}\n"                                                                          \
    "sub sp, sp, #56\n"                                                                            \
    "str r1, " EDGEQ_F_PATCH "\n"                                                                  \
    "str r2, " EDGEQ_F_BIAS "\n"                                                                   \
    "str r3, " EDGEQ_F_MULTIPLIER "\n"                                                             \
    "adr.w r2, 1f\n"                                                                               \
    "ldr r3, " EDGEQ_F_SKIP "\n"                                                                   \
    "add r2, r2, r3\n"                                                                             \
    "orr r2, r2, #1\n"                                                                             \
    "str r2, " EDGEQ_F_ENTRY "\n"                                                                  \
    "ldr r2, " EDGEQ_F_FIRST_END "\n"                                                              \
    "str r2, " EDGEQ_F_CHUNK_END "\n" EDGEQ_PAIR_CLEAR

/* Biases of four rows into r2, r3, r12, lr. */
#define EDGEQ_PAIR_BIAS                                                                            \
    "ldr r1, " EDGEQ_F_BIAS "\n"                                                                   \
    "ldr lr, [r1, #12]\n"                                                                          \
    "ldr r12, [r1, #8]\n"                                                                          \
    "ldr r3, [r1, #4]\n"                                                                           \
    "ldr r2, [r1], #16\n"                                                                          \
    "str r1, " EDGEQ_F_BIAS "\n"

/* The same, doubled: SMMULR takes twice the accumulator. */
#define EDGEQ_PAIR_BIAS_TWICE                                                                      \
    EDGEQ_PAIR_BIAS                                                                                \
    "lsl.w r2, r2, #1\n"                                                                           \
    "lsl.w r3, r3, #1\n"                                                                           \
    "lsl r12, r12, #1\n"                                                                           \
    "lsl lr, lr, #1\n"

#define EDGEQ_SIGN(r)     "add " r ", " r ", " r ", asr #31\n"
#define EDGEQ_ROUND(r)    "add " r ", " r ", r12\n"
#define EDGEQ_SATURATE(r) "ssat " r ", #8, " r ", asr #1\n"
#define EDGEQ_FOR_8(do)                                                                            \
    do                                                                                             \
    ("r4") do("r5") do("r6") do("r7") do("r8") do("r9") do("r10") do("r11")

/* Requantises doubled accumulators, stores four outputs of each pixel and goes back to label 2
 * until the rows are done. Stores right behind a load cost nothing. */
#define EDGEQ_PAIR_LEAVE                                                                           \
    "ldr r1, " EDGEQ_F_MULTIPLIER "\n"                                                             \
    "ldr lr, [r1, #12]\n"                                                                          \
    "ldr r12, [r1, #8]\n"                                                                          \
    "ldr r3, [r1, #4]\n"                                                                           \
    "ldr r2, [r1], #16\n"                                                                          \
    "str r1, " EDGEQ_F_MULTIPLIER "\n"                                                             \
    "smmulr r4, r4, r2\n"                                                                          \
    "smmulr r8, r8, r2\n"                                                                          \
    "smmulr r5, r5, r3\n"                                                                          \
    "smmulr r9, r9, r3\n"                                                                          \
    "smmulr r6, r6, r12\n"                                                                         \
    "smmulr r10, r10, r12\n"                                                                       \
    "smmulr r7, r7, lr\n"                                                                          \
    "smmulr r11, r11, lr\n" EDGEQ_FOR_8(                                                           \
        EDGEQ_SIGN) "ldr r1, " EDGEQ_F_SHIFT "\n"                                                  \
                    "ldr r12, " EDGEQ_F_ROUNDING "\n"                                              \
                    "ldr r2, [r1], #4\n"                                                           \
                    "str r1, " EDGEQ_F_SHIFT "\n"                                                  \
                    "mvn.w r2, r2\n"                                                               \
                    "asr r4, r4, r2\n"                                                             \
                    "asr r8, r8, r2\n"                                                             \
                    "lsr.w r2, r2, #8\n"                                                           \
                    "asr r5, r5, r2\n"                                                             \
                    "asr r9, r9, r2\n"                                                             \
                    "lsr.w r2, r2, #8\n"                                                           \
                    "asr r6, r6, r2\n"                                                             \
                    "asr r10, r10, r2\n"                                                           \
                    "lsr.w r2, r2, #8\n"                                                           \
                    "asr r7, r7, r2\n"                                                             \
                    "asr r11, r11, r2\n" EDGEQ_FOR_8(EDGEQ_ROUND)                                  \
                        EDGEQ_FOR_8(EDGEQ_SATURATE) "ldr r3, " EDGEQ_F_Y0_END "\n"                 \
                                                    "ldr r1, " EDGEQ_F_Y0 "\n"                     \
                                                    "ldr r2, " EDGEQ_F_Y1 "\n"                     \
                                                    "strb r5, [r1, #1]\n"                          \
                                                    "strb r6, [r1, #2]\n"                          \
                                                    "strb r7, [r1, #3]\n"                          \
                                                    "strb r4, [r1], #4\n"                          \
                                                    "strb r9, [r2, #1]\n"                          \
                                                    "strb r10, [r2, #2]\n"                         \
                                                    "strb r11, [r2, #3]\n"                         \
                                                    "strb r8, [r2], #4\n"                          \
                                                    "str r1, " EDGEQ_F_Y0 "\n"                     \
                                                    "str r2, " EDGEQ_F_Y1 "\n"                     \
                                                    "cmp r1, r3\n"                                 \
                                                    "bne.w 2b\n"                                   \
                                                    "add sp, sp, #56\n"                            \
                                                    "pop {r4-r11, pc}\n"

/* A chunk that is not the only one ends a byte early, so that its end is told from the row's. */
enum { EDGEQ_CHUNK_PAIRS = 256 };

#define EDGEQ_UNUSED __attribute__((unused))
#define EDGEQ_PAIR_PARAMETERS                                                                      \
    EDGEQ_UNUSED const uint32_t *weight, EDGEQ_UNUSED const uint32_t *patch,                       \
        EDGEQ_UNUSED const int32_t *bias, EDGEQ_UNUSED const int32_t *multiplier,                  \
        EDGEQ_UNUSED const int8_t *shift, EDGEQ_UNUSED int8_t *y0, EDGEQ_UNUSED int8_t *y1,        \
        EDGEQ_UNUSED const int8_t *y0_end, EDGEQ_UNUSED int32_t rounding,                          \
        EDGEQ_UNUSED int32_t skip, EDGEQ_UNUSED uintptr_t first_end,                               \
        EDGEQ_UNUSED const uint32_t *end, EDGEQ_UNUSED int32_t sum0, EDGEQ_UNUSED int32_t sum1

typedef void edgeq_pair_rows(EDGEQ_PAIR_PARAMETERS);

/* A job goes to the frame. The first chunk takes what does not fill one. */
static inline void edgeq_pair_run(edgeq_pair_rows *rows, const edgeq_pair_job *job, int32_t skip) {
    int32_t later = (job->pairs - 1) & ~(EDGEQ_CHUNK_PAIRS - 1);
    uintptr_t first_end = (uintptr_t)(job->patch + 2 * (job->pairs - later)) - (later > 0);
    rows(job->weight, job->patch, job->bias, job->multiplier, job->shift, job->y[0], job->y[1],
         job->y[0] + job->rows, job->rounding, skip, first_end, job->patch + 2 * job->pairs,
         job->sum[0], job->sum[1]);
}
#else
enum { EDGEQ_CHUNK_PAIRS = 256 };
#endif

/* A freestanding compiler keeps calls of memcpy, but not of the built-in. */
static inline uint32_t edgeq_get_word(const int8_t *from) {
    uint32_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}

static inline void edgeq_put_word(int8_t *to, uint32_t word) {
    __builtin_memcpy(to, &word, sizeof word);
}

/* n bytes from `from` on, or n times a byte of `fill` when it is null. */
static inline int8_t *edgeq_put_bytes(int8_t *to, const int8_t *from, int32_t n, uint32_t fill) {
    for (; n >= 4; n -= 4, to += 4) {
        edgeq_put_word(to, from != 0 ? edgeq_get_word(from) : fill);
        from = from != 0 ? from + 4 : 0;
    }
    for (; n > 0; n--) {
        *to++ = from != 0 ? *from : (int8_t)(uint8_t)(fill & 0xFFu);
        from = from != 0 ? from + 1 : 0;
    }
    return to;
}

__attribute__((noinline)) static int8_t *edgeq_put_fill(int8_t *to, int32_t n, uint32_t fill) {
    return edgeq_put_bytes(to, 0, n, fill);
}

/* A pixel on its way through the map. */
typedef struct {
    int32_t top;
    int32_t left;
    int32_t column; /* of the output */
} edgeq_pixel;

static inline void edgeq_advance(const edgeq_window *w, edgeq_pixel *at) {
    at->left += w->stride_width;
    at->column++;
    if (at->column == w->output_width) {
        at->top += w->stride_height;
        at->left = -w->padding_left;
        at->column = 0;
    }
}

/* One row of a patch that begins at (row, left) of the map: where it lies there, or in `spare` when
 * a part of it is outside or a copy is asked for. */
__attribute__((noinline)) static const int8_t *edgeq_find_row(const edgeq_window *w,
                                                              const int8_t *x, int32_t row,
                                                              int32_t left, uint32_t fill,
                                                              int8_t *spare, bool copy) {
    int32_t width = w->kernel_width;
    int32_t channels = w->channels;
    int32_t after = left + width - w->input_width;
    int8_t *to = spare;
    if (row < 0 || row >= w->input_height || after >= width || left + width <= 0) {
        (void)edgeq_put_fill(to, width * channels, fill);
        return spare;
    }
    const int8_t *from = x + row * w->input_width * channels;
    if (left < 0) {
        to = edgeq_put_fill(to, -left * channels, fill);
        width += left;
    } else {
        from += left * channels;
        if (after <= 0 && !copy) {
            return from;
        }
    }
    if (after > 0) {
        (void)edgeq_put_fill(to + (width - after) * channels, after * channels, fill);
        width -= after;
    }
    (void)edgeq_put_bytes(to, from, width * channels, fill);
    return spare;
}

#define EDGEQ_ONES 0x00010001u
#if EDGEQ_CONV_SUMS
#define EDGEQ_SUM(i) "smlad %[sum" i "], %[t], %[ones], %[sum" i "]\n"
#else
#define EDGEQ_SUM(i) ""
#endif

/* Groups of four columns of both pixels; returns where the next go. */
__attribute__((noinline)) static uint32_t *
edgeq_expand_pair(const int8_t *a, const int8_t *b, uint32_t *to, int32_t groups, int32_t *sum) {
#if EDGEQ_DSP_ASM
    /* Two groups a turn: four pipelined loads, stores that nothing waits for. */
    if (groups >= 2) {
        uint32_t r, s, t, u, v;
        int32_t sum0 = sum[0];
        int32_t sum1 = sum[1];
        groups -= 2;
        __asm__ volatile(
            ".balign 4\n"
            "1:\n"
            "ldr.w %[u], [%[a], #4]\n"
            "ldr.w %[v], [%[b], #4]\n"
            "ldr.w %[s], [%[b]], #8\n"
            "ldr.w %[r], [%[a]], #8\n"
            "sxtb16 %[t], %[r]\n" EDGEQ_SUM(
                "0") "str.w %[t], [%[to]], #32\n"
                     "sxtb16 %[t], %[s]\n" EDGEQ_SUM(
                         "1") "str %[t], [%[to], #-28]\n"
                              "sxtb16 %[t], %[r], ror #8\n" EDGEQ_SUM(
                                  "0") "str %[t], [%[to], #-24]\n"
                                       "sxtb16 %[t], %[s], ror #8\n" EDGEQ_SUM(
                                           "1") "str %[t], [%[to], #-20]\n"
                                                "sxtb16 %[t], %[u]\n" EDGEQ_SUM(
                                                    "0") "str %[t], [%[to], #-16]\n"
                                                         "sxtb16 %[t], %[v]\n" EDGEQ_SUM(
                                                             "1") "str %[t], [%[to], #-12]\n"
                                                                  "sxtb16 %[t], %[u], ror "
                                                                  "#8\n" EDGEQ_SUM(
                                                                      "0") "str %[t], [%[to], "
                                                                           "#-8]\n"
                                                                           "sxtb16 %[t], %[v], ror "
                                                                           "#8\n" EDGEQ_SUM(
                                                                               "1") "str %[t], "
                                                                                    "[%[to], #-4]\n"
                                                                                    "subs.w %[n], "
                                                                                    "%[n], #2\n"
                                                                                    "bge.w 1b\n"
            : [a] "+r"(a), [b] "+r"(b), [to] "+r"(to), [n] "+r"(groups), [r] "=&r"(r), [s] "=&r"(s),
              [t] "=&r"(t), [u] "=&r"(u), [v] "=&r"(v), [sum0] "+r"(sum0), [sum1] "+r"(sum1)
            : [ones] "r"(EDGEQ_ONES)
            : "cc", "memory");
        sum[0] = sum0;
        sum[1] = sum1;
        groups += 2;
    }
#endif
    for (; groups > 0; groups--, a += 4, b += 4, to += 4) {
        uint32_t u = edgeq_get_word(a);
        uint32_t v = edgeq_get_word(b);
        to[0] = edgeq_sxtb16(u);
        to[1] = edgeq_sxtb16(v);
        to[2] = edgeq_sxtb16_ror8(u);
        to[3] = edgeq_sxtb16_ror8(v);
        sum[0] = edgeq_smlad(to[0], EDGEQ_ONES, edgeq_smlad(to[2], EDGEQ_ONES, sum[0]));
        sum[1] = edgeq_smlad(to[1], EDGEQ_ONES, edgeq_smlad(to[3], EDGEQ_ONES, sum[1]));
    }
    return to;
}

/* Both patches; `spare` has room for two rows of them, or for both in bytes when a row is not a
 * number of groups. */
static inline void edgeq_gather_pair(const edgeq_window *w, const int8_t *x, const edgeq_pixel *at,
                                     uint32_t fill, uint32_t *patch, int8_t *spare, int32_t *sum) {
    int32_t run = w->kernel_width * w->channels;
    int32_t groups = run >> 2;
    bool bytes = (run & 3) != 0;
    int8_t *second = spare + run;
    int32_t step = 0;
    if (bytes) {
        groups = (w->kernel_height * run + 3) >> 2;
        second = spare + 4 * groups;
        step = run;
    }
    /* where a row of both is inside the map, no call has to find it */
    int32_t right = w->input_width - w->kernel_width;
    bool across =
        !bytes && at[0].left >= 0 && at[0].left <= right && at[1].left >= 0 && at[1].left <= right;
    int32_t top = at[0].top;
    int32_t down = at[1].top - top;
    int32_t line = w->input_width * w->channels;
    int32_t between = down * line + (at[1].left - at[0].left) * w->channels;
    for (int32_t i = 0; i < w->kernel_height; i++) {
        int32_t offset = i * step;
        const int8_t *a;
        const int8_t *b;
        if (across && top + i >= 0 && top + i + down < w->input_height) {
            a = x + (top + i) * line + at[0].left * w->channels;
            b = a + between;
        } else {
            a = edgeq_find_row(w, x, top + i, at[0].left, fill, spare + offset, bytes);
            b = edgeq_find_row(w, x, top + i + down, at[1].left, fill, second + offset, bytes);
        }
        if (!bytes) {
            patch = edgeq_expand_pair(a, b, patch, groups, sum);
        }
    }
    if (bytes) {
        (void)edgeq_expand_pair(spare, second, patch, groups, sum);
    }
}

/* The last one to three rows on copies, for the kernel reads and writes whole blocks; what it makes
 * of rows that do not exist is dropped. */
static inline void edgeq_conv_last_rows(const edgeq_conv_2d_params *p, edgeq_pair_job job,
                                        edgeq_pair_kernel *kernel, int32_t block_words) {
    int32_t whole = p->outputs & ~3;
    int8_t *to[2] = {job.y[0] + whole, job.y[1] + whole};
    int32_t bias[4], multiplier[4];
    int8_t shift[4], y[2][4];
    for (int32_t i = 0; i < 4; i++) {
        int32_t row = whole + i < p->outputs ? whole + i : whole;
        bias[i] = p->bias[row];
        multiplier[i] = p->multiplier[row];
        shift[i] = p->shift[row];
    }
    job.weight += (whole >> 2) * block_words;
    job.bias = bias;
    job.multiplier = multiplier;
    job.shift = shift;
    job.y[0] = y[0];
    job.y[1] = y[1];
    job.rows = 4;
    kernel(&job);
    for (int32_t i = 0; i < (p->outputs & 3); i++) {
        to[0][i] = y[0][i];
        to[1][i] = y[1][i];
    }
}

/* Inlined into its one caller, and `format` with it. A last single pixel is computed twice. */
static inline void edgeq_conv_2d_dsp(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                     void *scratch, edgeq_conv_format format) {
    const edgeq_window *w = &p->window;
    int32_t columns = w->kernel_height * w->kernel_width * w->channels;
    int32_t padded = (columns + format.group - 1) & ~(format.group - 1);
    uint32_t fill = (uint32_t)(uint8_t)p->input_zero_point * 0x01010101u;
    uint32_t *patch = scratch;
    int8_t *spare = (int8_t *)(patch + padded);
    int32_t left = w->output_height * w->output_width;
    edgeq_pair_job job;
    job.weight = p->weight;
    job.patch = patch;
    job.bias = p->bias;
    job.multiplier = p->multiplier;
    job.shift = p->shift;
    job.rows = p->outputs & ~3;
    job.pairs = padded >> 1;
    job.rounding = 2 * p->output_zero_point + 1;
    for (int32_t i = columns & ~3; i < padded; i++) {
        patch[i] = 0;
    }
    if ((w->kernel_width * w->channels & 3) != 0) {
        (void)edgeq_put_fill(spare, 2 * ((columns + 3) & ~3), 0);
    }
    edgeq_pixel at[2];
    at[0].top = -w->padding_top;
    at[0].left = -w->padding_left;
    at[0].column = 0;
    job.y[0] = y;
    for (; left > 0; left -= 2) {
        at[1] = at[0];
        job.y[1] = job.y[0];
        if (left > 1) {
            edgeq_advance(w, &at[1]);
            job.y[1] += p->outputs;
        }
        job.sum[0] = 0;
        job.sum[1] = 0;
        edgeq_gather_pair(w, x, at, fill, patch, spare, job.sum);
        if (job.rows > 0) {
            format.kernel(&job);
        }
        if ((p->outputs & 3) != 0) {
            edgeq_conv_last_rows(p, job, format.kernel, 2 * job.pairs >> format.word_shift);
        }
        at[0] = at[1];
        edgeq_advance(w, &at[0]);
        job.y[0] = job.y[1] + p->outputs;
    }
    if (p->activation_min > -128 || p->activation_max < 127) {
        int8_t *end = y + w->output_height * w->output_width * p->outputs;
        for (; y < end; y++) {
            *y = (int8_t)edgeq_clamp(*y, p->activation_min, p->activation_max);
        }
    }
}

#endif
