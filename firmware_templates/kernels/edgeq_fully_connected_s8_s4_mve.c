/* FullyConnected, int8 activations, 4-bit weights, by vectors. */
#include "edgeq_fully_connected_mve.h"
#include "edgeq_kernels_mve.h"

EDGEQ_KERNEL void edgeq_fully_connected_s8_s4_mve(const edgeq_fully_connected_params *p,
                                                  const int8_t *x, int8_t *y) {
    int32_t row_bytes = edgeq_row_bytes_s4(p->inputs);
#if EDGEQ_MVE
    const edgeq_codes_mve codes = {edgeq_whole_s4_mve, edgeq_part_s4_mve, 8};
    edgeq_fully_connected_mve(p, x, y, row_bytes, codes);
#else
    edgeq_fully_connected(p, x, y, row_bytes, edgeq_dot_s4);
#endif
}
