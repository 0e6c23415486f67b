/* FullyConnected with a scale a block, int8 activations, ternary weights. */
#include "edgeq_block_fully_connected.h"

EDGEQ_KERNEL void edgeq_block_fully_connected_s8_t2(const edgeq_block_fully_connected_params *p,
                                                    const int8_t *x, int8_t *y) {
    edgeq_block_fully_connected(p, x, y, edgeq_row_bytes_2(p->layer.inputs), p->block >> 2,
                                edgeq_dot_t2);
}
