/* FullyConnected, int8 activations, 16-bit weights. */
#include "edgeq_fully_connected.h"

EDGEQ_KERNEL void edgeq_fully_connected_s8_s16(const edgeq_fully_connected_params *p,
                                               const int8_t *x, int8_t *y) {
    edgeq_fully_connected(p, x, y, edgeq_row_bytes_s16(p->inputs), edgeq_dot_s16);
}
