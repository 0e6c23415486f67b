/* FullyConnected, int8 activations and 4-bit weights, whole rows of up to 4096 columns, see
 * edgeq_row_fours_dsp.h.
 *
 * Exact where every row's sum of |w| is at most 4095, which the exporter checks and training can
 * see to (A2Q): the row at the top has |sum| <= 4095 * 128 < 2^19, the one below with its offset at
 * most (4095 + 8 * 4096) * 128 < 2^23. Wider rows go in chunks of 4096 columns.
 */
#include "edgeq_row_fours_dsp.h"

EDGEQ_KERNEL void edgeq_fully_connected_s8_s4_whole_dsp(const edgeq_fully_connected_params *p,
                                                        const int8_t *x, int8_t *y, void *scratch) {
    edgeq_fully_connected_fours(p, x, y, scratch, 4096);
}
