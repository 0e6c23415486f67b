/* FullyConnected with a scale a block, int8 activations, 4-bit weights. */
#include "edgeq_block_fully_connected.h"

EDGEQ_KERNEL void edgeq_block_fully_connected_s8_s4(const edgeq_block_fully_connected_params *p,
                                                    const int8_t *x, int8_t *y) {
    edgeq_block_fully_connected(p, x, y, edgeq_row_bytes_s4(p->layer.inputs), p->block >> 1,
                                edgeq_dot_s4);
}
