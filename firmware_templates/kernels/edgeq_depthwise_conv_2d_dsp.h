/* Depthwise convolutions on DSP cores: four channels at a time, two taps a multiply.
 *
 * A block is four neighbouring channels, a word of every cell of the map. Its weights are expanded
 * once into scratch, as pairs of taps (t, t + 1) in two halves, a word a channel; a cell outside
 * the map holds the input zero point, a tap after the last one has weight zero.
 *
 * |x * w| <= 128 * 127: no accumulator leaves int32 before 131,072 taps.
 */
#ifndef EDGEQ_DEPTHWISE_CONV_2D_DSP_H
#define EDGEQ_DEPTHWISE_CONV_2D_DSP_H

#include <stdbool.h>

#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

/* Writes 4 * pairs words: for each pair of taps, one word a channel. Returns the next block. */
typedef const uint32_t *edgeq_expand_taps(const uint32_t *stream, uint32_t *to, int32_t pairs);

/* Halves (a.low, b.low). */
static inline uint32_t edgeq_low_halves(uint32_t a, uint32_t b) {
#if EDGEQ_DSP_ASM
    uint32_t result;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return (a & 0xFFFFu) | b << 16;
#endif
}

/* Halves (a.high, b.high). */
static inline uint32_t edgeq_high_halves(uint32_t a, uint32_t b) {
#if EDGEQ_DSP_ASM
    uint32_t result;
    __asm__("pkhtb %0, %2, %1, asr #16" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return a >> 16 | (b & 0xFFFF0000u);
#endif
}

/* Two cells of four channels: channel c's bytes as the halves of to[c]. */
static inline void edgeq_pair_cells(uint32_t a, uint32_t b, uint32_t *to) {
    uint32_t even[2] = {edgeq_sxtb16(a), edgeq_sxtb16(b)};
    uint32_t odd[2] = {edgeq_sxtb16_ror8(a), edgeq_sxtb16_ror8(b)};
    to[0] = edgeq_low_halves(even[0], even[1]);
    to[1] = edgeq_low_halves(odd[0], odd[1]);
    to[2] = edgeq_high_halves(even[0], even[1]);
    to[3] = edgeq_high_halves(odd[0], odd[1]);
}

/* The map as one block of channels sees it. */
typedef struct {
    const edgeq_window *window;
    const int8_t *x;  /* of the block's first channel */
    uint32_t fill;    /* the input zero point in every byte */
    int32_t channels; /* of the block, 1 to 4 */
} edgeq_block_map;

/* A cell's channels, the first in the low byte. */
static inline uint32_t edgeq_cell(const int8_t *at, int32_t channels) {
    uint32_t word = 0;
    if (channels == 4) {
        __builtin_memcpy(&word, at, sizeof word);
        return word;
    }
    for (int32_t c = 0; c < channels; c++) {
        word |= (uint32_t)(uint8_t)at[c] << 8 * c;
    }
    return word;
}

/* What a block's outputs are requantised with. */
typedef struct {
    int32_t bias[4];
    int32_t multiplier[4];
    int32_t shift[4];
    int32_t zero_point;
    int32_t low;
    int32_t high;
} edgeq_block_scale;

/* Constants in locals: a store to y might change the struct, for all the compiler knows. */
static inline void edgeq_block_outputs(const edgeq_block_scale *scale, const int32_t *acc,
                                       int32_t channels, int8_t *y) {
    int32_t zero_point = scale->zero_point;
    int32_t low = scale->low;
    int32_t high = scale->high;
    for (int32_t c = 0; c < channels; c++) {
        int32_t v = edgeq_requantize_dsp(acc[c], scale->multiplier[c], scale->shift[c]);
        y[c] = (int8_t)edgeq_clamp(v + zero_point, low, high);
    }
}

/* Words of `n` cells from (row, column) of the map on. */
__attribute__((noinline)) static uint32_t *
edgeq_put_cells(const edgeq_block_map *map, int32_t row, int32_t column, int32_t n, uint32_t *to) {
    const edgeq_window *w = map->window;
    bool inside = row >= 0 && row < w->input_height;
    int32_t first = edgeq_clamp(-column, 0, n);
    int32_t last = inside ? edgeq_clamp(w->input_width - column, first, n) : first;
    for (int32_t i = 0; i < first; i++) {
        *to++ = map->fill;
    }
    if (last > first) {
        const int8_t *from = map->x + (row * w->input_width + column + first) * w->channels;
        int32_t step = w->channels;
        if (map->channels == 4) {
            for (int32_t i = first; i < last; i++, from += step) {
                *to++ = edgeq_cell(from, 4);
            }
        } else {
            for (int32_t i = first; i < last; i++, from += step) {
                *to++ = edgeq_cell(from, map->channels);
            }
        }
    }
    for (int32_t i = last; i < n; i++) {
        *to++ = map->fill;
    }
    return to;
}

/* One window of a block: `rows` rows, `pitch` words apart, of `pairs` pairs of cells. */
__attribute__((noinline)) static void edgeq_window_sums(const uint32_t *cells, int32_t pitch,
                                                        const uint32_t *weight, int32_t rows,
                                                        int32_t pairs, const int32_t *bias,
                                                        int32_t *acc) {
    int32_t sum0 = bias[0];
    int32_t sum1 = bias[1];
    int32_t sum2 = bias[2];
    int32_t sum3 = bias[3];
    for (; rows > 0; rows--, cells += pitch) {
        const uint32_t *at = cells;
        int32_t n = pairs;
#if EDGEQ_DSP_ASM
        uint32_t a, b, c, d, e;
        __asm__ volatile(".balign 4\n"
                         "1:\n"
                         "ldr.w %[b], [%[at], #4]\n"
                         "ldr.w %[a], [%[at]], #8\n"
                         "sxtb16 %[c], %[a]\n"
                         "sxtb16 %[d], %[b]\n"
                         "sxtb16 %[a], %[a], ror #8\n"
                         "sxtb16 %[b], %[b], ror #8\n"
                         "pkhbt %[e], %[c], %[d], lsl #16\n"
                         "pkhtb %[d], %[d], %[c], asr #16\n"
                         "pkhbt %[c], %[a], %[b], lsl #16\n"
                         "pkhtb %[b], %[b], %[a], asr #16\n"
                         "ldr.w %[a], [%[w]], #4\n"
                         "smlad %[sum0], %[e], %[a], %[sum0]\n"
                         "ldr.w %[e], [%[w], #4]\n"
                         "ldr.w %[a], [%[w]], #12\n"
                         "smlad %[sum2], %[d], %[e], %[sum2]\n"
                         "ldr %[d], [%[w], #-4]\n"
                         "smlad %[sum1], %[c], %[a], %[sum1]\n"
                         "smlad %[sum3], %[b], %[d], %[sum3]\n"
                         "subs.w %[n], %[n], #1\n"
                         "bne.w 1b\n"
                         : [at] "+r"(at), [w] "+r"(weight), [n] "+r"(n), [a] "=&r"(a), [b] "=&r"(b),
                           [c] "=&r"(c), [d] "=&r"(d), [e] "=&r"(e), [sum0] "+r"(sum0),
                           [sum1] "+r"(sum1), [sum2] "+r"(sum2), [sum3] "+r"(sum3)
                         :
                         : "cc", "memory");
#else
        for (; n > 0; n--, at += 2, weight += 4) {
            uint32_t x[4];
            edgeq_pair_cells(at[0], at[1], x);
            sum0 = edgeq_smlad(x[0], weight[0], sum0);
            sum1 = edgeq_smlad(x[1], weight[1], sum1);
            sum2 = edgeq_smlad(x[2], weight[2], sum2);
            sum3 = edgeq_smlad(x[3], weight[3], sum3);
        }
#endif
    }
    acc[0] = sum0;
    acc[1] = sum1;
    acc[2] = sum2;
    acc[3] = sum3;
}

/* Weight of a tap, as the expanded block has it. */
static inline uint32_t edgeq_tap(const uint32_t *taps, int32_t tap, int32_t channel) {
    return taps[(tap >> 1) * 4 + channel] >> 16 * (tap & 1) & 0xFFFFu;
}

/* Any kernel and stride: output rows one by one, the block's words of the input rows they reach
 * in scratch. A kernel row of odd width is paired with a cell of weight zero. */
__attribute__((noinline)) static void edgeq_depthwise_pixels(const edgeq_block_map *map,
                                                             const uint32_t *taps,
                                                             const edgeq_block_scale *scale,
                                                             uint32_t *scratch, int8_t *y) {
    const edgeq_window *w = map->window;
    int32_t pairs = (w->kernel_width + 1) >> 1;
    int32_t pitch = (w->output_width - 1) * w->stride_width + 2 * pairs;
    uint32_t *weight = scratch;
    for (int32_t i = 0; i < w->kernel_height; i++) {
        for (int32_t j = 0; j < w->kernel_width; j += 2) {
            int32_t tap = i * w->kernel_width + j;
            for (int32_t c = 0; c < 4; c++) {
                bool two = j + 1 < w->kernel_width;
                uint32_t second = two ? edgeq_tap(taps, tap + 1, c) : 0;
                *scratch++ = edgeq_low_halves(edgeq_tap(taps, tap, c), second);
            }
        }
    }
    for (int32_t i = 0; i < w->output_height; i++) {
        uint32_t *to = scratch;
        int32_t top = i * w->stride_height - w->padding_top;
        for (int32_t k = 0; k < w->kernel_height; k++) {
            to = edgeq_put_cells(map, top + k, -w->padding_left, pitch, to);
        }
        const uint32_t *cells = scratch;
        for (int32_t j = 0; j < w->output_width; j++, cells += w->stride_width) {
            int32_t acc[4];
            edgeq_window_sums(cells, pitch, weight, w->kernel_height, pairs, scale->bias, acc);
            edgeq_block_outputs(scale, acc, map->channels, y);
            y += w->channels;
        }
    }
}

/* --- 3x3 at stride 1, two columns or more: two output rows at a time ---------------------------
 *
 * A band is two input rows (2 i, 2 i + 1, from the first padded row on): for each column of the
 * padded map four words, one a channel, the upper row in the low half. Two output rows take bands
 * A and B; with a column's weights (w0, w1, w2) from top to bottom, as words (w0, w1) and
 * (w1, w2), the upper row sums A (w0, w1) + B.low w2, the lower one A.high w0 + B (w1, w2). The
 * weights are doubled, for SMMULR takes twice the accumulator.
 */
enum { EDGEQ_BAND_BYTES = 2048, EDGEQ_BAND_SHIFT = -22 };

/* One channel of a strip of bands. */
typedef struct {
    const uint32_t *band;
    const uint32_t *weights; /* six words: the columns' (w0, w1) and (w1, w2) */
    int32_t bias;            /* doubled */
    int32_t multiplier;
    int32_t shift;    /* right, 1 to 22 */
    int32_t rounding; /* half a step and the zero point, before the shift */
    int8_t *y;
    int32_t step;     /* from column to column of y */
    int32_t row_step; /* from row to row of y; 0 when only the upper row is wanted */
    int32_t width;    /* of y */
    int32_t row_pairs;
} edgeq_band_job;

#if EDGEQ_DSP_ASM
#define EDGEQ_BAND_TAPS(upper, lower, w01, w12)                                                    \
    "smlad " upper ", r12, " w01 ", " upper "\n"                                                   \
    "smlatb " lower ", r12, " w01 ", " lower "\n"                                                  \
    "smlabt " upper ", lr, " w12 ", " upper "\n"                                                   \
    "smlad " lower ", lr, " w12 ", " lower "\n"
/* The first column of an output: the lower accumulator holds the bias. */
#define EDGEQ_BAND_FIRST(upper, lower)                                                             \
    "smlad " upper ", r12, r2, " lower "\n"                                                        \
    "smlatb " lower ", r12, r2, " lower "\n"                                                       \
    "smlabt " upper ", lr, r3, " upper "\n"                                                        \
    "smlad " lower ", lr, r3, " lower "\n"
/* SMMLAR adds the rounding with the sign of the accumulator: ties go away from zero. (Where the
 * product rounds to 0 the sign does not matter: half a step less one is still no step.) */
#define EDGEQ_BAND_SCALE(r, t)                                                                     \
    "add.w " t ", lr, " r ", asr #31\n"                                                            \
    "smmlar " r ", " r ", r12, " t "\n"
#define EDGEQ_BAND_SHIFT_OUT(r)                                                                    \
    "asr.w " r ", " r ", r12\n"                                                                    \
    "ssat " r ", #8, " r "\n"
/* Frame: y, end of the row, end of the strip, pitch, then the job's members from `bias` on. */
#define EDGEQ_B_Y          "[sp, #0]"
#define EDGEQ_B_ROW_END    "[sp, #4]"
#define EDGEQ_B_END        "[sp, #8]"
#define EDGEQ_B_PITCH      "[sp, #12]"
#define EDGEQ_B_ODD        "[sp, #16]"
#define EDGEQ_B_BIAS       "[sp, #56]"
#define EDGEQ_B_MULTIPLIER "[sp, #60]"
#define EDGEQ_B_SHIFT      "[sp, #64]"
#define EDGEQ_B_ROUNDING   "[sp, #68]"
#define EDGEQ_B_STEP       "[sp, #72]"
#define EDGEQ_B_ROW_STEP   "[sp, #76]"

/* Two columns a turn (four outputs in 77 cycles), then the last one of an odd row. r0 and r1 run
 * over bands A and B, r2..r7 hold the weights, r8..r11 the accumulators. */
__attribute__((naked, noinline)) static void
edgeq_band_asm(const uint32_t *band __attribute__((unused)),
               const uint32_t *weights __attribute__((unused)),
               const uint32_t *end __attribute__((unused)), int8_t *y __attribute__((unused)),
               int32_t bias __attribute__((unused)), int32_t multiplier __attribute__((unused)),
               int32_t shift __attribute__((unused)), int32_t rounding __attribute__((unused)),
               int32_t step __attribute__((unused)), int32_t row_step __attribute__((unused)),
               int32_t width __attribute__((unused)), int32_t pitch __attribute__((unused))) {
    __asm__(
        "push {r4-r11, lr}\n"
        "sub sp, sp, #20\n"
        "str r3, " EDGEQ_B_Y "\n"
        "str r2, " EDGEQ_B_END "\n"
        "ldr r4, [sp, #80]\n" /* width */
        "ldr r5, [sp, #84]\n" /* pitch */
        "str r5, " EDGEQ_B_PITCH "\n"
        "and r6, r4, #1\n"
        "str r6, " EDGEQ_B_ODD "\n"
        "sub r4, r4, r6\n"
        "add r4, r0, r4, lsl #4\n"
        "str r4, " EDGEQ_B_ROW_END "\n"
        "mov r8, r1\n"
        "add r1, r0, r5\n"
        "ldm r8, {r2-r7}\n"
        ".balign 4\n"
        "1:\n"
        "ldr.w r12, [r0]\n"
        "ldr.w lr, [r1]\n"
        "ldr.w r9, " EDGEQ_B_BIAS "\n" EDGEQ_BAND_FIRST(
            "r8",
            "r9") "ldr.w r12, [r0, #16]\n"
                  "ldr.w lr, [r1, #16]\n"
                  "ldr.w r11, " EDGEQ_B_BIAS
                  "\n" EDGEQ_BAND_TAPS("r8", "r9", "r4", "r5") EDGEQ_BAND_FIRST(
                      "r10",
                      "r11") "ldr.w r12, [r0, #32]!\n"
                             "ldr.w lr, [r1, #32]!\n" EDGEQ_BAND_TAPS("r8", "r9", "r6", "r7")
                                 EDGEQ_BAND_TAPS(
                                     "r10", "r11", "r4",
                                     "r5") "ldr.w r12, [r0, #16]\n"
                                           "ldr.w lr, [r1, #16]\n" EDGEQ_BAND_TAPS(
                                               "r10", "r11", "r6",
                                               "r7") "ldr.w r12, " EDGEQ_B_MULTIPLIER "\n"
                                                     "ldr.w lr, " EDGEQ_B_ROUNDING
                                                     "\n" EDGEQ_BAND_SCALE(
                                                         "r8", "r1") EDGEQ_BAND_SCALE("r9", "r1")
                                                         EDGEQ_BAND_SCALE("r10", "r1") EDGEQ_BAND_SCALE(
                                                             "r11",
                                                             "r1") "ldr.w r12, " EDGEQ_B_SHIFT "\n"
                                                                   "ldr.w lr, " EDGEQ_B_Y "\n"
                                                                   "ldr.w r1, " EDGEQ_B_ROW_STEP
                                                                   "\n" EDGEQ_BAND_SHIFT_OUT("r8")
                                                                       EDGEQ_BAND_SHIFT_OUT("r9")
                                                                           EDGEQ_BAND_SHIFT_OUT(
                                                                               "r10")
                                                                               EDGEQ_BAND_SHIFT_OUT(
                                                                                   "r11")
        /* the lower row first: the upper one wins where they share a place */
        "ldr.w r12, " EDGEQ_B_STEP "\n"
        "strb.w r9, [lr, r1]\n"
        "strb.w r8, [lr]\n"
        "add.w lr, lr, r12\n"
        "strb.w r11, [lr, r1]\n"
        "strb.w r10, [lr]\n"
        "add.w lr, lr, r12\n"
        "ldr.w r1, " EDGEQ_B_PITCH "\n"
        "ldr.w r12, " EDGEQ_B_ROW_END "\n"
        "str.w lr, " EDGEQ_B_Y "\n"
        "add.w r1, r0, r1\n"
        "cmp.w r0, r12\n"
        "bne.w 1b\n"
        "ldr.w r12, " EDGEQ_B_ODD "\n"
        "cmp.w r12, #0\n"
        "beq.w 4f\n"
        "ldr.w r12, [r0]\n"
        "ldr.w lr, [r1]\n"
        "ldr.w r9, " EDGEQ_B_BIAS "\n" EDGEQ_BAND_FIRST(
            "r8",
            "r9") "ldr.w r12, [r0, #16]!\n"
                  "ldr.w lr, [r1, #16]!\n" EDGEQ_BAND_TAPS(
                      "r8", "r9", "r4",
                      "r5") "ldr.w r12, [r0, #16]\n"
                            "ldr.w lr, [r1, #16]\n" EDGEQ_BAND_TAPS(
                                "r8", "r9", "r6",
                                "r7") "ldr.w r12, " EDGEQ_B_MULTIPLIER "\n"
                                      "ldr.w lr, " EDGEQ_B_ROUNDING
                                      "\n" EDGEQ_BAND_SCALE("r8", "r10") EDGEQ_BAND_SCALE(
                                          "r9",
                                          "r10") "ldr.w r12, " EDGEQ_B_SHIFT "\n"
                                                 "ldr.w lr, " EDGEQ_B_Y "\n"
                                                 "ldr.w r11, " EDGEQ_B_STEP "\n"
                                                 "ldr.w r10, " EDGEQ_B_ROW_STEP
                                                 "\n" EDGEQ_BAND_SHIFT_OUT("r8")
                                                     EDGEQ_BAND_SHIFT_OUT(
                                                         "r9") "strb.w r9, [lr, r10]\n"
                                                               "strb.w r8, [lr]\n"
                                                               "add.w lr, lr, r11\n"
                                                               "str.w lr, " EDGEQ_B_Y "\n"
                                                               "4:\n" /* the next band begins two
                                                                         columns on */
                                                               "ldr.w r8, " EDGEQ_B_Y "\n"
                                                               "ldr.w r9, " EDGEQ_B_ROW_STEP "\n"
                                                               "ldr.w r10, " EDGEQ_B_ROW_END "\n"
                                                               "ldr.w r11, " EDGEQ_B_PITCH "\n"
                                                               "ldr.w r12, " EDGEQ_B_END "\n"
                                                               "add.w r8, r8, r9\n"
                                                               "add.w r10, r10, r11\n"
                                                               "str.w r8, " EDGEQ_B_Y "\n"
                                                               "str.w r10, " EDGEQ_B_ROW_END "\n"
                                                               "add.w r0, r0, #32\n"
                                                               "add.w r1, r1, #32\n"
                                                               "cmp.w r0, r12\n"
                                                               "bne.w 1b\n"
                                                               "add sp, sp, #20\n"
                                                               "pop {r4-r11, pc}\n");
}

static inline void edgeq_band_rows(const edgeq_band_job *job) {
    int32_t pitch = (job->width + 2) * 4;
    edgeq_band_asm(job->band, job->weights, job->band + job->row_pairs * pitch, job->y, job->bias,
                   job->multiplier, job->shift, job->rounding, job->step, job->row_step, job->width,
                   4 * pitch);
}
#else
static inline int8_t edgeq_band_output(int32_t acc, const edgeq_band_job *job) {
    int32_t v = edgeq_smmulr(acc, job->multiplier) + (acc >> 31) + job->rounding;
    return (int8_t)edgeq_clamp(v >> job->shift, -128, 127);
}

static inline void edgeq_band_rows(const edgeq_band_job *job) {
    const uint32_t *a = job->band;
    const uint32_t *b = a + (job->width + 2) * 4;
    int8_t *y = job->y;
    for (int32_t i = 0; i < job->row_pairs; i++, a += 8, b += 8, y += job->row_step) {
        for (int32_t j = 0; j < job->width; j++, a += 4, b += 4, y += job->step) {
            int32_t upper = job->bias;
            int32_t lower = job->bias;
            for (int32_t c = 0; c < 3; c++) {
                uint32_t w01 = job->weights[2 * c];
                uint32_t w12 = job->weights[2 * c + 1];
                upper = edgeq_smlad(a[4 * c], w01, upper);
                upper = edgeq_smlad(b[4 * c] & 0xFFFFu, w12 >> 16, upper);
                lower = edgeq_smlad(a[4 * c] >> 16, w01 & 0xFFFFu, lower);
                lower = edgeq_smlad(b[4 * c], w12, lower);
            }
            y[job->row_step] = edgeq_band_output(lower, job);
            y[0] = edgeq_band_output(upper, job);
        }
    }
}
#endif

/* n cells of two rows to a band; a step of 0 repeats a cell. */
__attribute__((noinline)) static void edgeq_put_pairs(const int8_t *a, int32_t a_step,
                                                      const int8_t *b, int32_t b_step, int32_t n,
                                                      uint32_t *to) {
    for (; n > 0; n--) {
#if EDGEQ_DSP_ASM
        uint32_t upper, lower, low, high, t;
        __asm__ volatile("ldr %[upper], [%[a]]\n"
                         "ldr %[lower], [%[b]]\n"
                         "sxtb16 %[low], %[upper]\n"
                         "sxtb16 %[high], %[lower]\n"
                         "add %[a], %[a], %[a_step]\n"
                         "add %[b], %[b], %[b_step]\n"
                         "pkhtb %[t], %[high], %[low], asr #16\n"
                         "pkhbt %[low], %[low], %[high], lsl #16\n"
                         "str %[t], [%[to], #8]\n"
                         "sxtb16 %[upper], %[upper], ror #8\n"
                         "sxtb16 %[lower], %[lower], ror #8\n"
                         "pkhtb %[high], %[lower], %[upper], asr #16\n"
                         "pkhbt %[upper], %[upper], %[lower], lsl #16\n"
                         "str %[high], [%[to], #12]\n"
                         "str %[upper], [%[to], #4]\n"
                         "str %[low], [%[to]], #16\n"
                         : [a] "+r"(a), [b] "+r"(b), [to] "+r"(to), [upper] "=&r"(upper),
                           [lower] "=&r"(lower), [low] "=&r"(low), [high] "=&r"(high), [t] "=&r"(t)
                         : [a_step] "r"(a_step), [b_step] "r"(b_step)
                         : "memory");
#else
        edgeq_pair_cells(edgeq_cell(a, 4), edgeq_cell(b, 4), to);
        a += a_step;
        b += b_step;
        to += 4;
#endif
    }
}

/* The same of a block of fewer than four channels. */
__attribute__((noinline)) static void edgeq_put_partial(const int8_t *a, int32_t a_step,
                                                        const int8_t *b, int32_t b_step,
                                                        int32_t channels, int32_t n, uint32_t *to) {
    for (; n > 0; n--, a += a_step, b += b_step, to += 4) {
        edgeq_pair_cells(edgeq_cell(a, channels), edgeq_cell(b, channels), to);
    }
}

/* Both halves doubled, |half| < 2^14. */
static inline uint32_t edgeq_twice_halves(uint32_t x) {
    return (x << 1) & 0xFFFEFFFFu;
}

/* A block at stride 1, in strips of `count` bands, whose padded columns are filled already. */
__attribute__((noinline)) static void
edgeq_depthwise_bands(const edgeq_block_map *map, const uint32_t *taps,
                      const edgeq_block_scale *scale, uint32_t *bands, int32_t count, int8_t *y) {
    const edgeq_window *w = map->window;
    int32_t pitch = (w->output_width + 2) * 4;
    int32_t first = edgeq_clamp(w->padding_left, 0, w->output_width + 2);
    int32_t cells = edgeq_clamp(w->input_width, 0, w->output_width + 2 - first);
    const int8_t *fill = (const int8_t *)&map->fill;
    int32_t line = w->input_width * w->channels;
    edgeq_band_job job;
    uint32_t weights[6];
    job.weights = weights;
    job.step = w->channels;
    job.width = w->output_width;
    for (int32_t top = 0; top < w->output_height; top += 2 * (count - 1)) {
        int32_t rows = edgeq_clamp(w->output_height - top, 0, 2 * (count - 1));
        int32_t pairs = rows >> 1;
        for (int32_t i = 0; i <= (rows + 1) >> 1; i++) {
            int32_t row = top - w->padding_top + 2 * i;
            bool in_a = row >= 0 && row < w->input_height;
            bool in_b = row >= -1 && row < w->input_height - 1;
            const int8_t *a = in_a ? map->x + row * line : fill;
            const int8_t *b = in_b ? map->x + (row + 1) * line : fill;
            int32_t a_step = in_a ? w->channels : 0;
            int32_t b_step = in_b ? w->channels : 0;
            uint32_t *to = bands + i * pitch + 4 * first;
            if (map->channels == 4) {
                edgeq_put_pairs(a, a_step, b, b_step, cells, to);
            } else {
                edgeq_put_partial(a, a_step, b, b_step, map->channels, cells, to);
            }
        }
        for (int32_t c = 0; c < map->channels; c++) {
            uint32_t t01 = edgeq_twice_halves(taps[c]);
            uint32_t t23 = edgeq_twice_halves(taps[c + 4]);
            uint32_t t45 = edgeq_twice_halves(taps[c + 8]);
            uint32_t t67 = edgeq_twice_halves(taps[c + 12]);
            uint32_t t8 = edgeq_twice_halves(taps[c + 16]);
            weights[0] = edgeq_low_halves(t01, t23 >> 16);
            weights[1] = edgeq_low_halves(t23 >> 16, t67);
            weights[2] = edgeq_low_halves(t01 >> 16, t45);
            weights[3] = edgeq_low_halves(t45, t67 >> 16);
            weights[4] = edgeq_low_halves(t23, t45 >> 16);
            weights[5] = edgeq_low_halves(t45 >> 16, t8);
            job.bias = (int32_t)((uint32_t)scale->bias[c] << 1);
            job.multiplier = scale->multiplier[c];
            job.shift = -scale->shift[c];
            job.rounding = (2 * scale->zero_point + 1) * (1 << (job.shift - 1));
            job.band = bands + c;
            job.y = y + top * w->output_width * w->channels + c;
            job.row_step = w->output_width * w->channels;
            job.row_pairs = pairs;
            if (pairs > 0) {
                edgeq_band_rows(&job);
            }
            if ((rows & 1) != 0) { /* the last row alone */
                job.band += pairs * pitch;
                job.y += 2 * pairs * job.row_step;
                job.row_step = 0;
                job.row_pairs = 1;
                edgeq_band_rows(&job);
            }
        }
    }
}

/* How many bands scratch has room for; 0 when this layer does not go by bands. */
static inline int32_t edgeq_bands_of(const edgeq_conv_2d_params *p) {
    const edgeq_window *w = &p->window;
    bool fits = w->kernel_height == 3 && w->kernel_width == 3 && w->stride_height == 1 &&
                w->stride_width == 1 && w->output_width > 1;
    for (int32_t c = 0; c < w->channels; c++) {
        fits = fits && p->shift[c] >= EDGEQ_BAND_SHIFT;
    }
    int32_t most = ((w->output_height + 1) >> 1) + 1;
    int32_t count = 2;
    while (count < most && (count + 1) * (w->output_width + 2) * 16 <= EDGEQ_BAND_BYTES) {
        count++;
    }
    return fits ? count : 0;
}

/* Inlined into its one caller, so that `expand` is a known function. */
static inline void edgeq_depthwise_conv_2d_dsp(const edgeq_conv_2d_params *p, const int8_t *x,
                                               int8_t *y, void *scratch,
                                               edgeq_expand_taps *expand) {
    const edgeq_window *w = &p->window;
    int32_t pairs = (w->kernel_height * w->kernel_width + 1) >> 1;
    const uint32_t *stream = p->weight;
    uint32_t *taps = scratch;
    edgeq_block_scale scale;
    int32_t bands = edgeq_bands_of(p);
    for (int32_t i = 0; i < bands * (w->output_width + 2) * 4; i++) {
        taps[4 * pairs + i] = ((uint32_t)p->input_zero_point & 0xFFFFu) * 0x00010001u;
    }
    scale.zero_point = p->output_zero_point;
    scale.low = p->activation_min;
    scale.high = p->activation_max;
    for (int32_t c = 0; c < w->channels; c += 4) {
        edgeq_block_map map = {w, x + c, (uint32_t)(uint8_t)p->input_zero_point * 0x01010101u,
                               edgeq_clamp(w->channels - c, 1, 4)};
        for (int32_t k = 0; k < 4; k++) {
            bool real = k < map.channels;
            scale.bias[k] = real ? p->bias[c + k] : 0;
            scale.multiplier[k] = real ? p->multiplier[c + k] : 0;
            scale.shift[k] = real ? p->shift[c + k] : -1;
        }
        stream = expand(stream, taps, pairs);
        if (bands > 0) {
            edgeq_depthwise_bands(&map, taps, &scale, taps + 4 * pairs, bands, y + c);
        } else {
            edgeq_depthwise_pixels(&map, taps, &scale, taps + 4 * pairs, y + c);
        }
    }
    if (bands > 0 && (scale.low > -128 || scale.high < 127)) { /* bands saturate, no more */
        int8_t *end = y + w->output_height * w->output_width * w->channels;
        for (; y < end; y++) {
            *y = (int8_t)edgeq_clamp(*y, p->activation_min, p->activation_max);
        }
    }
}

#endif
