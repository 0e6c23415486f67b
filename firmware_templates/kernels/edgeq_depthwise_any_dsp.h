/* Depthwise convolutions on DSP cores: any window.
 *
 * Words of all cells that some rows of outputs reach; those of a pair of neighbours are expanded
 * for every window. A row of odd length is paired with a cell of weight zero.
 */
#ifndef EDGEQ_DEPTHWISE_ANY_DSP_H
#define EDGEQ_DEPTHWISE_ANY_DSP_H

#include <stdbool.h>

#include "edgeq_depthwise_blocks_dsp.h"
#include "edgeq_dsp.h"
#include "edgeq_kernels_dsp.h"
#include "edgeq_requantize.h"

enum { EDGEQ_CELLS_WORDS = 256 }; /* for these rows; more only if one row of outputs needs it */

/* The windows of a row of outputs. The assembly loads the members in their order. */
typedef struct {
    const uint32_t *weight; /* for each pair of taps a word a channel */
    int32_t rows;           /* of a window */
    int32_t pairs;          /* of cells in a row */
    int32_t advance;        /* bytes from a row's last pair to the next row */
    int32_t addend;         /* 2 * output zero point + 1 */
    int32_t channels;
    const edgeq_block_channel *of;
    int32_t left; /* whether a channel's scale is a half or more */
} edgeq_windows;

#if EDGEQ_DSP_ASM
EDGEQ_AT(edgeq_windows, weight, 0);
EDGEQ_AT(edgeq_windows, rows, 4);
EDGEQ_AT(edgeq_windows, pairs, 8);
EDGEQ_AT(edgeq_windows, advance, 12);
EDGEQ_AT(edgeq_windows, addend, 16);
EDGEQ_AT(edgeq_windows, channels, 20);
EDGEQ_AT(edgeq_windows, of, 24);
EDGEQ_AT(edgeq_windows, left, 28);

/* r0 runs over cells, r4 over weights; r5 counts rows, r10 pairs; r6..r9 are the sums. */
__attribute__((naked, noinline)) static void edgeq_one_window(const uint32_t *cells
                                                              __attribute__((unused)),
                                                              const edgeq_windows *job
                                                              __attribute__((unused)),
                                                              int8_t *y __attribute__((unused))) {
    __asm__("push {r2, r4-r11, lr}\n"
            "ldm r1!, {r4, r5}\n"
            "movs r6, #0\n"
            "movs r7, #0\n"
            "mov r8, r6\n"
            "mov r9, r6\n"
            "2:\n"
            "ldr.w r10, [r1]\n"
            ".balign 4\n"
            "1:\n"
            "ldr.w r3, [r0, #4]\n"
            "ldr.w r2, [r0], #8\n"
            "pkhbt r12, r2, r3, lsl #16\n"
            "pkhtb r3, r3, r2, asr #16\n"
            "sxtb16 r11, r12\n"
            "sxtb16 r12, r12, ror #8\n"
            "ldr.w lr, [r4, #4]\n"
            "ldr.w r2, [r4], #8\n"
            "smlad r7, r12, lr, r7\n"
            "smlad r6, r11, r2, r6\n"
            "sxtb16 r11, r3\n"
            "sxtb16 r12, r3, ror #8\n"
            "ldr.w lr, [r4, #4]\n"
            "ldr.w r2, [r4], #8\n"
            "smlad r9, r12, lr, r9\n"
            "smlad r8, r11, r2, r8\n"
            "subs.w r10, r10, #1\n"
            "bne.w 1b\n"
            "ldr.w r2, [r1, #4]\n"
            "add.w r0, r0, r2\n"
            "subs.w r5, r5, #1\n"
            "bne.w 2b\n"
            "push {r6-r9}\n"
            "ldr r2, [sp, #16]\n"
            "ldr r5, [r1, #8]\n"
            "ldr r6, [r1, #12]\n"
            "ldr r4, [r1, #20]\n"
            "ldr r1, [r1, #16]\n"
            "mov r7, sp\n"
            "cbnz r4, 5f\n"
            "3:\n" /* a channel; the divisor's leading zeros are its shift less 1 */
            "ldm r7!, {r0}\n"
            "ldr r3, [r1]\n"
            "ldr r4, [r1, #8]\n"
            "add.w r0, r3, r0, lsl #1\n"
            "ldr r3, [r1, #4]\n"
            "clz r4, r4\n"
            "smmulr r0, r0, r3\n"
            "add.w r0, r0, r0, asr #31\n"
            "asrs r0, r4\n"
            "adds r0, r0, r5\n"
            "ssat r0, #8, r0, asr #1\n"
            "strb r0, [r2], #1\n"
            "adds r1, #36\n"
            "subs r6, #1\n"
            "bne 3b\n"
            "4:\n"
            "add sp, #20\n"
            "pop {r4-r11, pc}\n"
            "5:\n" /* the same, first to the left; a half or more is rounded once, so doubled */
            "ldm r7!, {r0}\n"
            "ldr r3, [r1]\n"
            "ldr r4, [r1, #12]\n"
            "add.w r0, r3, r0, lsl #1\n"
            "lsls r0, r4\n"
            "ldr r3, [r1, #4]\n"
            "ldr r4, [r1, #16]\n"
            "smmulr r0, r0, r3\n"
            "lsls r0, r4\n"
            "ldr r4, [r1, #8]\n"
            "add.w r0, r0, r0, asr #31\n"
            "clz r4, r4\n"
            "asrs r0, r4\n"
            "qadd r0, r0, r5\n"
            "ssat r0, #8, r0, asr #1\n"
            "strb r0, [r2], #1\n"
            "adds r1, #36\n"
            "subs r6, #1\n"
            "bne 5b\n"
            "b 4b\n");
}
#else
static void edgeq_one_window(const uint32_t *cells, const edgeq_windows *job, int8_t *y) {
    const uint32_t *weight = job->weight;
    int32_t acc[4] = {0, 0, 0, 0};
    for (int32_t i = 0; i < job->rows; i++, cells += job->advance / 4) {
        for (int32_t n = job->pairs; n > 0; n--, cells += 2, weight += 4) {
            uint32_t x[4];
            edgeq_pair_cells(cells[0], cells[1], x);
            for (int32_t c = 0; c < 4; c++) {
                acc[c] = edgeq_smlad(x[c], weight[c], acc[c]);
            }
        }
    }
    for (int32_t c = 0; c < job->channels; c++) {
        const edgeq_block_channel *of = job->of + c;
        uint32_t doubled = (uint32_t)of->bias + 2u * (uint32_t)acc[c];
        int32_t v = edgeq_smmulr((int32_t)(doubled << of->weights[EDGEQ_LEFT]), of->multiplier);
        v = (int32_t)((uint32_t)v << of->weights[EDGEQ_DOUBLED]);
        v = (v + (v >> 31)) >> __builtin_clz((uint32_t)of->divisor);
        int64_t moved = (int64_t)v + job->addend;
        y[c] = (int8_t)edgeq_clamp((int32_t)(moved >> 1), -128, 127);
    }
}
#endif

/* One direction of the map. */
typedef struct {
    int32_t input;
    int32_t output;
    int32_t kernel;
    int32_t stride;
    int32_t padding;  /* before the first cell */
    int32_t x_step;   /* bytes from cell to cell of the input */
    int32_t y_step;   /* of the output */
    int32_t tap_step; /* words from tap to tap */
} edgeq_axis;

/* Cells of `rows` rows of the map, from (row, -padding) on: what is inside. */
static inline void edgeq_put_cells(const edgeq_block *b, const edgeq_axis *down,
                                   const edgeq_axis *across, int32_t row, int32_t rows,
                                   int32_t pitch, uint32_t *to) {
    int32_t last = edgeq_clamp(across->input, 0, pitch - across->padding);
    to += across->padding;
    for (; rows > 0; rows--, row++, to += pitch) {
        const int8_t *from = b->x + row * down->x_step;
        bool inside = row >= 0 && row < down->input;
        for (int32_t i = 0; inside && i < last; i++, from += across->x_step) {
            to[i] = b->channels == 4 ? edgeq_load_word(from) : edgeq_cell(from, b->channels);
        }
    }
}

EDGEQ_SMALL static void edgeq_depthwise_any(const edgeq_block *b, uint32_t *scratch) {
    const edgeq_conv_2d_params *p = b->p;
    const edgeq_window *w = &p->window;
    const edgeq_axis axes[2] = {
        {w->input_height, w->output_height, w->kernel_height, w->stride_height, w->padding_top,
         w->input_width * w->channels, w->output_width * w->channels, w->kernel_width},
        {w->input_width, w->output_width, w->kernel_width, w->stride_width, w->padding_left,
         w->channels, w->channels, 1},
    };
    bool turned = w->kernel_width * ((w->kernel_height + 1) >> 1) <
                  w->kernel_height * ((w->kernel_width + 1) >> 1); /* fewer pairs */
    const edgeq_axis *down = axes + (turned ? 1 : 0);
    const edgeq_axis *across = axes + (turned ? 0 : 1);
    EDGEQ_IN_MEMORY(down);
    EDGEQ_IN_MEMORY(across);
    edgeq_windows job;
    job.weight = scratch;
    job.rows = down->kernel;
    job.pairs = (across->kernel + 1) >> 1;
    job.addend = 2 * p->output_zero_point + 1;
    job.channels = b->channels;
    job.of = b->of;
    job.left = b->left;
    for (int32_t i = 0; i < down->kernel; i++) {
        const uint32_t *tap = b->taps + i * down->tap_step;
        for (int32_t j = across->kernel; j > 0; j -= 2, scratch += 4) {
            edgeq_pair_cells(tap[0], j > 1 ? tap[across->tap_step] : 0, scratch);
            tap += 2 * across->tap_step;
        }
    }
    int32_t pitch = (across->output - 1) * across->stride + 2 * job.pairs;
    int32_t rows = 1; /* of outputs at once */
    int32_t more = pitch * (down->kernel + down->stride);
    while (rows < down->output && more <= EDGEQ_CELLS_WORDS) {
        rows++;
        more += pitch * down->stride;
        EDGEQ_STEPS(more);
    }
    job.advance = 4 * (pitch - 2 * job.pairs);
    for (int32_t row = 0; row < down->output; row += rows) {
        int32_t height = (rows - 1) * down->stride + down->kernel;
        const uint32_t *cells = scratch;
        edgeq_fill(scratch, pitch * height, (uint32_t)(uint8_t)p->input_zero_point * 0x01010101u);
        edgeq_put_cells(b, down, across, row * down->stride - down->padding, height, pitch,
                        scratch);
        for (int32_t i = row; i < down->output && i < row + rows; i++) {
            int8_t *y = b->y + i * down->y_step;
            for (int32_t j = 0; j < across->output; j++, y += across->y_step) {
                edgeq_one_window(cells + j * across->stride, &job, y);
            }
            cells += down->stride * pitch;
        }
    }
}

#endif
