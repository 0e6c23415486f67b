/* FullyConnected, int8 activations and 4-bit weights in -7..7, see edgeq_row_fours_dsp.h.
 *
 * Exact for any weights: within a chunk of 512 columns the row at the top has |sum| <= 512 * 7 *
 * 128 < 2^19, the one below with its offset at most 512 * 15 * 128 < 2^23; chunks add.
 */
#include "edgeq_row_fours_dsp.h"

EDGEQ_KERNEL void edgeq_fully_connected_s8_s4_dsp(const edgeq_fully_connected_params *p,
                                                  const int8_t *x, int8_t *y, void *scratch) {
    edgeq_fully_connected_fours(p, x, y, scratch, 512);
}
