/* FullyConnected, int8 activations, ternary weights. */
#include "edgeq_fully_connected.h"

EDGEQ_KERNEL void edgeq_fully_connected_s8_t2(const edgeq_fully_connected_params *p,
                                              const int8_t *x, int8_t *y) {
    edgeq_fully_connected(p, x, y, edgeq_row_bytes_2(p->inputs), edgeq_dot_t2);
}
