/* 1x1 convolutions with a scale a block on DSP cores: four rows with two cells at a time.
 *
 * Cells are paired as pixels are in edgeq_conv_2d_dsp.h, and so are their activations in scratch.
 * Those of a block stand behind its head: the bytes that they take, the bytes of the unrolled loop
 * that its first turn leaves out, then what a format's sums begin with, of cell 0 and of cell 1.
 * Columns are padded to a format's groups with activations of 0, which nothing writes again. Blocks
 * of 5 columns are none: cells have whole fours.
 *
 * The stream goes four rows by four rows, the last filled up with rows of 0: block by block its
 * words and its scales, then the parameters of edgeq_conv_2d_pairs_dsp.h. A row's sum of a block
 * times its scale is added up in the frame's first eight words.
 *
 * Weights that count for a scale of a byte have shifts of -12 and less, where one multiply does not
 * round whatever the sum. So all from -31 to -2 have the divisor 2^(32 - s), which takes v less 1
 * for v < 0: that ends just under a tie. Only blocks of rows with -1, 0 or a left shift are others.
 *
 * Example, 68 inputs in blocks of 64 and loops of 16 pairs: a head with 256 bytes, a head with 16.
 */
#ifndef EDGEQ_BLOCK_CELLS_DSP_H
#define EDGEQ_BLOCK_CELLS_DSP_H

#define EDGEQ_CONV_SUMS   1
#define EDGEQ_CONV_HALVES 0
#include "edgeq_conv_2d_pairs_dsp.h"
#include "edgeq_conv_2d_patches_dsp.h"
#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

/* Of pairs of cells in scratch, if more than one fits. */
enum { EDGEQ_CELLS_WORDS = 512 };
/* In a head. */
enum { EDGEQ_HEAD_BYTES, EDGEQ_HEAD_SKIP, EDGEQ_HEAD_STARTS };

/* A block's sums of activations, of either cell, in place to what sums begin with. */
typedef void edgeq_cells_start(int32_t *starts);

/* What a weight format passes to the loop over cells. */
typedef struct {
    edgeq_pair_kernel *kernel;
    edgeq_cells_start *start;
    int32_t head;     /* words of a head */
    int32_t group;    /* columns are padded to a multiple of it, 4 or 8 */
    int32_t most;     /* columns of a block of the stream */
    int32_t unrolled; /* pairs of columns in a turn of the loop, */
    int32_t bytes;    /* its code, */
    int32_t apart;    /* and how many of a block's pairs come before it */
} edgeq_cells_format;

#if EDGEQ_DSP_ASM
/* In the frame: where a block's activations end, and a pair's. */
#define EDGEQ_CELLS_BLOCK_END "[sp, #80]"
#define EDGEQ_CELLS_END       "[sp, #92]"
#define EDGEQ_CELLS_ENTER                                                                          \
    EDGEQ_PAIR_ENTER("")                                                                           \
    "ldr r3, " EDGEQ_F_LENGTH "\n"                                                                 \
    "adds r3, r3, r1\n"                                                                            \
    "str r3, " EDGEQ_CELLS_END "\n"
/* For the divisors above, in place of edgeq_conv_2d_pairs_dsp.h's own. */
#define EDGEQ_CELLS_SCALE(a, b, multiplier)                                                        \
    "smmulr " a ", " a ", " multiplier "\n"                                                        \
    "smmulr " b ", " b ", " multiplier "\n"                                                        \
    "add.w " a ", " a ", " a ", asr #31\n"                                                         \
    "add.w " b ", " b ", " b ", asr #31\n"
#define EDGEQ_CELLS_SCALE_ANY(a, b)                                                                \
    "ldr r2, [r0, #16]\n"                                                                          \
    "ldr.w r1, [r0], #4\n"                                                                         \
    "lsls " a ", " a ", r2\n"                                                                      \
    "lsl.w " b ", " b ", r2\n"                                                                     \
    "smmulr " a ", " a ", r1\n"                                                                    \
    "smmulr " b ", " b ", r1\n"                                                                    \
    "asrs r3, " a ", #31\n"                                                                        \
    "asr lr, " b ", #31\n"                                                                         \
    "add.w " a ", r3, " a ", lsl #1\n"                                                             \
    "add.w " b ", lr, " b ", lsl #1\n"
#undef EDGEQ_PAIR_SCALE
#undef EDGEQ_PAIR_SCALE_ANY
#define EDGEQ_PAIR_SCALE     EDGEQ_CELLS_SCALE
#define EDGEQ_PAIR_SCALE_ANY EDGEQ_CELLS_SCALE_ANY
/* Doubles the accumulators and adds the biases. */
#define EDGEQ_CELLS_BIAS                                                                           \
    EDGEQ_PAIR_BIAS                                                                                \
    "add.w r4, r2, r4, lsl #1\n"                                                                   \
    "add.w r8, r2, r8, lsl #1\n"                                                                   \
    "add.w r5, r3, r5, lsl #1\n"                                                                   \
    "add.w r9, r3, r9, lsl #1\n"                                                                   \
    "add.w r6, r12, r6, lsl #1\n"                                                                  \
    "add.w r10, r12, r10, lsl #1\n"                                                                \
    "add.w r7, lr, r7, lsl #1\n"                                                                   \
    "add.w r11, lr, r11, lsl #1\n"
#else
/* One row of a block for one cell, as the assembly has it. */
static inline int8_t edgeq_cells_output(uint32_t sum, const uint32_t *parameters, int32_t row,
                                        int32_t zero_point) {
    uint32_t any = parameters[0] & 1u;
    uint32_t twice = 2 * sum + parameters[row] - (row == 0 ? any : 0u);
    int32_t divisor = (int32_t)parameters[8 + row];
    uint32_t left = any != 0 ? (uint32_t)divisor & 0xFF : 0u;
    int32_t v = edgeq_smmulr((int32_t)(twice << left), (int32_t)parameters[4 + row]);
    v = (any != 0 ? 2 * v : v) + (v >> 31);
    return (int8_t)edgeq_clamp(edgeq_smmlar(v, divisor, zero_point), -128, 127);
}

/* The twin of a kernel, but for the sums; words: of four rows, without their parameters. */
static inline void edgeq_cells_twin(edgeq_pair_job job, edgeq_pair_sums *sums, int32_t words) {
    for (; job.count > 0; job.count--, job.patch += job.step >> 2) {
        const uint32_t *weight = job.weight;
        for (int32_t r = 0; r < job.rows; r += 4, weight += words + EDGEQ_PARAMETER_WORDS) {
            for (int32_t i = 0; i < 2; i++) {
                uint32_t sum[4] = {0, 0, 0, 0};
                sums(&job, weight, i, sum);
                for (int32_t j = 0; j < 4 && r + j < job.rows; j++) {
                    *job.y[i]++ = edgeq_cells_output(sum[j], weight + words, j, job.zero_point);
                }
            }
        }
    }
}

/* Words of four rows without their parameters: one for 2^shift bytes of activations, and scales of
 * every block. */
static inline int32_t edgeq_cells_stream(const edgeq_pair_job *job, int32_t head, uint32_t shift,
                                         int32_t scales) {
    int32_t words = 0;
    const uint32_t *x = job->patch;
    for (const uint32_t *end = x + (job->length >> 2); x != end; words += scales) {
        words += (int32_t)(x[EDGEQ_HEAD_BYTES] >> shift);
        x += head + (int32_t)(x[EDGEQ_HEAD_BYTES] >> 2);
    }
    return words;
}
#endif

/* The pairs of cells in scratch: all have the same places. */
typedef struct {
    uint32_t *strip;
    int32_t inputs;
    int32_t block;
    int32_t words; /* of a pair */
} edgeq_cells;

static inline int32_t edgeq_cells_columns(const edgeq_cells *k, int32_t left) {
    return left < k->block ? left : k->block;
}

static inline int32_t edgeq_cells_padded(edgeq_cells_format format, int32_t columns) {
    return (columns + format.group - 1) & ~(format.group - 1);
}

/* Heads and padding of `count` pairs, which stay. */
static inline void edgeq_cells_lay(const edgeq_cells *k, edgeq_cells_format format, int32_t count) {
    uint32_t *to = k->strip;
    for (; count > 0; count--) {
        for (int32_t left = k->inputs; left > 0; left -= k->block) {
            int32_t columns = edgeq_cells_columns(k, left);
            int32_t padded = edgeq_cells_padded(format, columns);
            int32_t skip = format.apart - (padded >> 1);
            while (skip < 0) {
                skip += format.unrolled;
                EDGEQ_STEPS(skip);
            }
            to[EDGEQ_HEAD_BYTES] = 4 * (uint32_t)padded;
            to[EDGEQ_HEAD_SKIP] = (uint32_t)(skip * format.bytes);
            to += format.head + columns;
            for (; columns < padded; columns++) { /* volatile, or a compiler calls memset */
                *(volatile uint32_t *)to++ = 0;
            }
        }
    }
}

/* Activations of `count` pairs of cells, the first of each at a and b. */
static inline void edgeq_cells_gather(const edgeq_cells *k, edgeq_cells_format format,
                                      const int8_t *a, const int8_t *b, int32_t count) {
    uint32_t *head = k->strip;
    edgeq_expansion e = {count, 0, 0, (int32_t *)head, 4 * k->words};
    for (int32_t left = k->inputs; left > 0; left -= k->block) {
        int32_t columns = edgeq_cells_columns(k, left);
        e.sums = (int32_t *)head + EDGEQ_HEAD_STARTS;
        e.from_gap = k->inputs - columns;
        e.to_gap = 4 * (k->words - columns);
        int32_t *sums = e.sums;
        for (int32_t i = 0; i < count; i++, sums += k->words) {
            sums[0] = 0;
            sums[1] = 0;
        }
        edgeq_expand(a, b, head + format.head, columns >> 2, &e);
        sums = e.sums;
        for (int32_t i = 0; i < count; i++, sums += k->words) {
            format.start(sums);
        }
        a += columns;
        b += columns;
        head += format.head + edgeq_cells_padded(format, columns);
    }
}

/* Inlined into its one caller, and `format` with it. */
static inline void edgeq_block_cells_dsp(const edgeq_block_fully_connected_params *p,
                                         const int8_t *x, int8_t *y, void *scratch,
                                         edgeq_cells_format format) {
    const edgeq_fully_connected_params *l = &p->layer;
    int32_t half = (p->cells + 1) >> 1;
    edgeq_cells k;
    k.strip = scratch;
    k.inputs = l->inputs;
    k.block = p->block < format.most ? p->block : format.most;
    k.words = 0;
    for (int32_t left = k.inputs; left > 0; left -= k.block) {
        k.words += format.head + edgeq_cells_padded(format, edgeq_cells_columns(&k, left));
    }
    int32_t at_once = 1;
    for (int32_t room = 2 * k.words; at_once < half && room <= EDGEQ_CELLS_WORDS;) {
        at_once++;
        room += k.words;
    }
    edgeq_cells_lay(&k, format, at_once);
    edgeq_pair_job job;
    job.weight = l->weight;
    job.patch = k.strip;
    job.step = 4 * k.words;
    job.rows = l->outputs;
    job.zero_point = l->output_zero_point;
    job.skip = 1; /* Thumb code */
    job.first = 4 * (format.head + edgeq_cells_padded(format, edgeq_cells_columns(&k, k.inputs)));
    job.length = 4 * k.words;
    job.sums = NULL;
    job.y[0] = y;
    job.y[1] = y + (p->cells - half) * l->outputs;
    const int8_t *other = x + (p->cells - half) * k.inputs;
    for (int32_t left = half; left > 0; left -= job.count) {
        job.count = at_once < left ? at_once : left;
        edgeq_cells_gather(&k, format, x, other, job.count);
        EDGEQ_READS(&job);
        format.kernel(&job);
        x += job.count * k.inputs;
        other += job.count * k.inputs;
        job.y[0] += job.count * l->outputs;
        job.y[1] += job.count * l->outputs;
    }
    if (l->activation_max - l->activation_min < 255) {
        for (; y < job.y[1]; y++) {
            *y = (int8_t)edgeq_clamp(*y, l->activation_min, l->activation_max);
        }
    }
}

#endif
