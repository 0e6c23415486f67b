/* Convolutions on DSP cores: two output pixels at a time.
 *
 * Pixel 0 walks through the first half of the output, row by row, and pixel 1 through the second
 * half (of an odd number both compute the middle one): output 5x5, pixel 0 at 0..12, pixel 1 at
 * 12..24. Their patches are gathered into scratch as 16-bit halves, once for all output channels;
 * cells outside the map hold the input zero point. Columns of a patch are taken in groups of four.
 * A group takes four words:
 *
 *   pixel 0: columns (0, 2)   pixel 1: columns (0, 2)   pixel 0: (1, 3)   pixel 1: (1, 3)
 *
 * (first column of each in the low half): what SXTB16 makes of a word, and of the word turned by
 * eight bits. A kernel then takes four rows (output channels) with both pixels: a word of weights
 * serves two multiplies. Rows are padded to blocks of four with zero weights, columns to groups.
 *
 * The columns of a patch are (kernel width, kernel height, channels) flat, so that a patch begins
 * `stride` columns of the map behind its neighbour's. Channels in fours: it shares the others with
 * it. A strip of patches, as long as both pixels stay in their rows, is expanded at once: with a
 * 3x3 kernel, stride 1 and 16 channels, up to 19 patches are 21 columns of 192 bytes. Patches of
 * one column stand side by side whatever the stride, unless padding is beside them. Other
 * channels: zero weights behind a patch fill its last group. The rows of the map that a row of
 * patches needs go to a band in scratch, one a pixel, with their padding and column by column (3x3
 * and 3 channels: 9 bytes a column), and every patch of a strip is expanded from there by itself.
 * The next row's band begins behind the cells that it no longer needs: those are where the columns
 * before have the new ones.
 */
#ifndef EDGEQ_CONV_2D_DSP_H
#define EDGEQ_CONV_2D_DSP_H

#include <stdbool.h>

#include "edgeq_conv_2d_pairs_dsp.h"
#include "edgeq_conv_2d_patches_dsp.h"
#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

/* What a weight format passes to the loop over pixels. */
typedef struct {
    edgeq_pair_kernel *kernel;
    int32_t group;    /* columns are padded to a multiple of it, 4 or 8 */
    int32_t chunk;    /* pairs of columns after which sums are split */
    int32_t unrolled; /* pairs of columns in a turn of the loop, */
    int32_t bytes;    /* its code, */
    int32_t apart;    /* and how many of a row's pairs come before it */
} edgeq_conv_format;

/* Of patches in a strip; EDGEQ_CONV_CELL_WORDS in one of 1x1 patches, which share nothing, so that
 * a longer strip gains next to nothing. */
enum { EDGEQ_STRIP_WORDS = 1024 };

/* One of the two pixels: where its patch begins in the map, its column in the output. */
typedef struct {
    int32_t top;
    int32_t column;
    int8_t *band;    /* columns of the map for its row of the output, with their padding */
    int32_t missing; /* how many of a column's cells, the last ones, are still to come */
} edgeq_pixel;

/* The walk over one layer. */
typedef struct {
    const edgeq_window *w;
    const int8_t *x;
    int32_t height; /* of the map */
    int32_t width;
    int32_t columns; /* of the output */
    int32_t apart;   /* columns of the map from one in a strip to the next */
    int32_t pitch;   /* bytes of a band's column, 0 without bands */
    int32_t span;    /* columns of a band */
    int32_t words;   /* from a patch to the next */
    uint32_t *strip;
    int32_t *sums;
    int8_t *spare;
    edgeq_pixel at[2];
} edgeq_walk;

/* Channels in fours: `columns` columns of the map for both pixels. */
__attribute__((noinline)) EDGEQ_SMALL static void edgeq_gather_columns(const edgeq_walk *k,
                                                                       int32_t columns) {
    uint32_t *to = k->strip;
    int32_t channels = k->w->channels;
    int32_t rows = k->w->kernel_height;
    edgeq_expansion e = {1, (k->apart - 1) * channels, 4 * (rows - 1) * channels, k->sums, 8};
    for (int32_t i = 0; i < rows; i++, to += channels) {
        uint32_t *next = to;
        e.sums = k->sums;
        for (int32_t c = 0; c < columns; c += e.count) {
            const int8_t *from[2];
            e.count = columns - c;
            for (int32_t p = 0; p < 2; p++) {
                int32_t row = k->at[p].top + i;
                int32_t column = k->at[p].column * k->w->stride_width - k->w->padding_left;
                column += c * k->apart;
                int32_t inside = k->width - column;
                if ((uint32_t)row < (uint32_t)k->height && (uint32_t)column < (uint32_t)k->width) {
                    from[p] = k->x + (row * k->width + column) * channels;
                } else {
                    from[p] = k->spare;
                    inside = 1;
                }
                e.count = e.count < inside ? e.count : inside;
            }
            edgeq_expand(from[0], from[1], next, channels >> 2, &e);
            next += e.count * rows * channels;
            e.sums += 2 * e.count;
        }
    }
}

/* n cells of a band side by side; those of the source are `apart` bytes apart. Returns where the
 * next one goes. */
__attribute__((noinline)) EDGEQ_SMALL static int8_t *
edgeq_put_cells(const edgeq_walk *k, int8_t *to, const int8_t *from, int32_t apart, int32_t n) {
    int32_t channels = k->w->channels;
    int32_t pitch = k->pitch;
    int8_t *end = to + n * pitch;
#if EDGEQ_DSP_ASM
    for (; channels > 0 && n > 0; channels -= 3) { /* three bytes of each */
        int32_t some = channels < 3 ? channels : 3;
        int32_t half = some & 2;
        int8_t *stop = to + n * pitch;
        const int8_t *next = from;
        int32_t t;
        __asm__ volatile("1:\n"
                         "lsls %[t], %[some], #31\n" /* carry: a half; minus: a byte */
                         "itt cs\n"
                         "ldrhcs.w %[t], [%[next]], #2\n"
                         "strhcs.w %[t], [%[to]], #2\n"
                         "itt mi\n"
                         "ldrbmi %[t], [%[next]]\n"
                         "strbmi %[t], [%[to]]\n"
                         "add %[next], %[apart]\n"
                         "add %[to], %[pitch]\n"
                         "cmp %[to], %[stop]\n"
                         "bne 1b\n"
                         : [to] "+r"(to), [next] "+r"(next), [t] "=&r"(t)
                         : [some] "r"(some), [apart] "r"(apart - half), [pitch] "r"(pitch - half),
                           [stop] "r"(stop)
                         : "cc", "memory");
        to += 3 - n * pitch;
        from += 3;
    }
#else
    for (; n > 0; n--, to += pitch, from += apart) {
        for (int32_t i = 0; i < channels; i++) {
            to[i] = from[i];
        }
    }
#endif
    return end;
}

/* A row of the map with its padding: a cell of each of a band's columns. */
static inline void edgeq_put_row(const edgeq_walk *k, int8_t *to, int32_t row) {
    int32_t channels = k->w->channels;
    int32_t left = k->w->padding_left < k->span ? k->w->padding_left : k->span;
    int32_t right = k->span - left;
    to = edgeq_put_cells(k, to, k->spare, 0, left);
    if ((uint32_t)row < (uint32_t)k->height) {
        int32_t inside = right < k->width ? right : k->width;
        right -= inside;
        to = edgeq_put_cells(k, to, k->x + row * k->width * channels, channels, inside);
    }
    (void)edgeq_put_cells(k, to, k->spare, 0, right);
}

/* On to the next row of the output if need be; the band begins some rows on, and its last rows are
 * put. Returns how many pixels are left in the row. */
__attribute__((noinline)) EDGEQ_SMALL static int32_t edgeq_arrive(const edgeq_walk *k,
                                                                  edgeq_pixel *at) {
    int32_t rows = k->w->kernel_height;
    if (at->column == k->columns) {
        at->column = 0;
        at->top += k->w->stride_height;
        at->band += k->w->stride_height * k->w->channels;
        at->missing = rows < k->w->stride_height ? rows : k->w->stride_height;
    }
    for (; k->pitch > 0 && at->missing > 0; at->missing--) {
        int32_t i = rows - at->missing;
        edgeq_put_row(k, at->band + i * k->w->channels, at->top + i);
    }
    return k->columns - at->column;
}

/* `count` pairs of patches of so many columns from the bands. */
static inline void edgeq_gather_patches(const edgeq_walk *k, int32_t count, int32_t columns) {
    int32_t stride = k->w->stride_width * k->pitch;
    edgeq_expansion e = {count, stride - columns, 4 * (k->words - columns), k->sums, 8};
    edgeq_expand(k->at[0].band + k->at[0].column * stride, k->at[1].band + k->at[1].column * stride,
                 k->strip, columns >> 2, &e);
}

/* Inlined into its one caller, and `format` with it. */
static inline void edgeq_conv_2d_dsp(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                     void *scratch, edgeq_conv_format format) {
    const edgeq_window *w = &p->window;
    int32_t out_width = w->output_width;
    int32_t size = w->output_height * out_width;
    edgeq_walk k;
    k.w = w;
    k.x = x;
    k.height = w->input_height;
    k.width = w->input_width;
    int32_t room = EDGEQ_STRIP_WORDS;
    if (w->kernel_height * w->kernel_width == 1) {
        room = EDGEQ_CONV_CELL_WORDS;
    }
    if (w->kernel_height * w->kernel_width * w->stride_height * w->stride_width == 1 &&
        size == k.height * k.width) { /* without padding */
        k.height = 1;
        k.width = size;
        out_width = size;
    }
    int32_t half = (size + 1) >> 1;
    /* columns of the map in a patch, and from one patch to the next; one wide column else */
    bool fours = (w->channels & 3) == 0;
    int32_t columns = (w->kernel_height * w->kernel_width * w->channels + 3) & ~3;
    int32_t padded = (columns + format.group - 1) & ~(format.group - 1);
    int32_t column_words = padded;
    int32_t span = 1;
    int32_t step = 1;
    k.apart = 1;
    if (fours) {
        span = w->kernel_width;
        step = w->stride_width;
        column_words = w->kernel_height * w->channels;
        if (w->padding_left + span == 1 && (out_width - 1) * step < k.width) {
            k.apart = step;
            step = 1;
        }
    }
    int32_t at_once = 1;
    int32_t most = span;
    if (step > span) {
        room = 0;
    }
    while (at_once < out_width && (most + step) * column_words <= room) {
        at_once++;
        most += step;
        EDGEQ_STEPS(most);
    }
    k.words = step * column_words;
    k.strip = scratch;
    k.sums = (int32_t *)k.strip + most * column_words;
    if (fours) {
        k.sums += padded - columns;
    }
    k.spare = (int8_t *)(k.sums + (EDGEQ_CONV_SUMS ? 2 * most : 0));
    k.columns = out_width;
    k.span = (out_width - 1) * w->stride_width + w->kernel_width;
    k.pitch = fours ? 0 : w->kernel_height * w->channels;
    int32_t band = ((w->output_height - 1) >> 1) * w->stride_height * w->channels;
    band += k.span * k.pitch;
    int32_t cell = w->channels;
    do { /* volatile, or a compiler calls memset */
        ((volatile int8_t *)k.spare)[--cell] = (int8_t)p->input_zero_point;
    } while (cell > 0);
    k.at[0].top = -w->padding_top;
    k.at[0].column = 0;
    k.at[0].band = k.spare + w->channels;
    k.at[0].missing = w->kernel_height;
    k.at[1].top = -w->padding_top;
    k.at[1].column = size - half;
    k.at[1].band = k.at[0].band + band;
    k.at[1].missing = w->kernel_height;
    while (k.at[1].column >= out_width) {
        k.at[1].column -= out_width;
        EDGEQ_STEPS(k.at[1].column);
        k.at[1].top += w->stride_height;
    }
    edgeq_pair_job job;
    job.weight = p->weight;
    job.patch = k.strip;
    job.step = 4 * k.words;
    job.rows = p->outputs;
    job.zero_point = p->output_zero_point;
    job.length = 4 * padded;
    job.first = job.length;
    while (job.first > 8 * format.chunk) {
        job.first -= 8 * format.chunk;
        EDGEQ_STEPS(job.first);
    }
    job.skip = format.apart - (job.first >> 3);
    while (job.skip < 0) {
        job.skip += format.unrolled;
        EDGEQ_STEPS(job.skip);
    }
    job.skip = job.skip * format.bytes + 1; /* Thumb code */
    job.first -= job.first < job.length;
    job.sums = k.sums;
    job.y[0] = y;
    job.y[1] = y + (size - half) * p->outputs;
    for (int32_t left = half; left > 0; left -= job.count) {
        job.count = at_once < left ? at_once : left;
        int32_t rest = edgeq_arrive(&k, &k.at[0]);
        job.count = job.count < rest ? job.count : rest;
        rest = edgeq_arrive(&k, &k.at[1]);
        job.count = job.count < rest ? job.count : rest;
        for (int32_t i = 2 * most; EDGEQ_CONV_SUMS && i > 0;) {
            ((volatile int32_t *)k.sums)[--i] = 0;
        }
        if (fours) {
            edgeq_gather_columns(&k, span + (job.count - 1) * step);
        } else {
            edgeq_gather_patches(&k, job.count, columns);
        }
        /* of columns to those of patches, in place, where they are not the same */
        bool columns_only = EDGEQ_CONV_SUMS && span + step > 2;
        for (int32_t i = 0; columns_only && i < 2 * job.count; i++) {
            const int32_t *from = k.sums + 2 * (i >> 1) * step + (i & 1);
            int32_t sum = 0;
            int32_t j = 0;
            do { /* at least once, which a compiler cannot know */
                sum += from[2 * j];
                j++;
            } while (j < span);
            k.sums[i] = sum;
        }
        EDGEQ_READS(&job);
        format.kernel(&job);
        k.at[0].column += job.count;
        k.at[1].column += job.count;
        job.y[0] += job.count * p->outputs;
        job.y[1] += job.count * p->outputs;
    }
    if (p->activation_max - p->activation_min < 255) {
        for (; y < job.y[1]; y++) {
            *y = (int8_t)edgeq_clamp(*y, p->activation_min, p->activation_max);
        }
    }
}

#endif
