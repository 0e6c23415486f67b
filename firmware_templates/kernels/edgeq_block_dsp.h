/* Fully connected layers with a scale a block on DSP cores: eight rows at a time.
 *
 * The stream goes group by group of eight rows, the last filled up with rows of 0, and within a
 * group block by block: its words, then its scales. Columns are padded with weights of 0 to whole
 * 32 (the last block is shorter where they end). Activations are spread over halves once a cell, as
 * edgeq_fully_connected_dsp.h does, with words before every block that a format makes of its sum.
 *
 * An including source defines, before the include:
 *   EDGEQ_BLOCK_STARTS   words before a block's activations
 *   EDGEQ_BLOCK_MOST     columns that a block of the stream has at most
 */
#ifndef EDGEQ_BLOCK_DSP_H
#define EDGEQ_BLOCK_DSP_H

#include "edgeq_fully_connected_dsp.h"
#include "edgeq_kernels_dsp.h"

/* What eight rows read; the assembly knows the order of the fields. */
typedef struct {
    const uint32_t *x;
    const uint32_t *end;
    int32_t bytes; /* of a block's activations */
    int32_t *acc;  /* of the eight rows */
} edgeq_block_cell;

#if EDGEQ_DSP_ASM
EDGEQ_AT(edgeq_block_cell, x, 0);
EDGEQ_AT(edgeq_block_cell, end, 4);
EDGEQ_AT(edgeq_block_cell, bytes, 8);
EDGEQ_AT(edgeq_block_cell, acc, 12);
#endif

/* Adds eight rows' products to theirs; returns where the next group's weights begin. */
typedef const uint32_t *edgeq_block_rows(const uint32_t *w, const edgeq_block_cell *cell);
typedef void edgeq_block_start(int32_t sum, uint32_t *to);

/* A cell's activations into scratch; returns their end. */
static inline uint32_t *edgeq_block_spread(const int8_t *x, int32_t n, int32_t block, uint32_t *to,
                                           edgeq_block_start *start) {
    for (; n > 0; n -= block, x += block) {
        uint32_t *first = to;
        int32_t columns = n < block ? n : block;
        to += EDGEQ_BLOCK_STARTS;
        int32_t sum = edgeq_spread(x, columns, to);
        to += edgeq_padded_columns(columns) >> 1;
        for (int32_t i = edgeq_padded_columns(columns); (i & 31) != 0; i += 2) {
            *to++ = 0;
        }
        start(sum, first);
    }
    return to;
}

/* Inlined into its one caller. */
static inline void edgeq_block_fully_connected_dsp(const edgeq_block_fully_connected_params *p,
                                                   const int8_t *x, int8_t *y, uint32_t *scratch,
                                                   edgeq_block_rows *rows,
                                                   edgeq_block_start *start) {
    enum { BLOCK = 48 };
    const edgeq_fully_connected_params *l = &p->layer;
    int32_t block = p->block < EDGEQ_BLOCK_MOST ? p->block : EDGEQ_BLOCK_MOST;
    edgeq_block_cell cell = {scratch, scratch, 2 * block, NULL};
    for (int32_t c = 0; c < p->cells; c++, x += l->inputs, y += l->outputs) {
        int32_t acc[BLOCK];
        const uint32_t *w = l->weight;
        cell.end = edgeq_block_spread(x, l->inputs, block, scratch, start);
        for (int32_t done = 0; done < l->outputs; done += BLOCK) {
            int32_t count = l->outputs - done < BLOCK ? l->outputs - done : BLOCK;
            int32_t filled = 0;
            for (; filled + 4 <= count; filled += 4) {
                const int32_t *bias = l->bias + done + filled;
                int32_t b0 = bias[0], b1 = bias[1], b2 = bias[2], b3 = bias[3];
                acc[filled] = b0;
                acc[filled + 1] = b1;
                acc[filled + 2] = b2;
                acc[filled + 3] = b3;
            }
            for (; filled < count; filled++) {
                acc[filled] = l->bias[done + filled];
            }
            for (; (filled & 7) != 0; filled++) {
                acc[filled] = 0;
            }
            for (int32_t i = 0; i < count; i += 8) {
                cell.acc = acc + i;
                w = rows(w, &cell);
            }
            edgeq_requantize_rows(l, done, acc, count, y);
        }
    }
}

#endif
