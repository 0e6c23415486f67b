/* FullyConnected, weights -1 and 1 at 1 bit: two rows in a half, see edgeq_narrow_dsp.h.
 *
 * Rows 0 and 2 of four are rows a of their pair: the bit is (w + 1) / 2. Rows 1 and 3 are rows b:
 * the bit is that of (w - 1) / 2, a sign. A word holds 8 columns of four rows. Rotated right by
 * 4 k for rows 0 and 1, by 4 k + 2 for rows 2 and 3, and masked, it leaves for the activations'
 * word k:
 *
 *   bit 0 row a, its low column     bit 15 row b, its low column
 *   bit 16 row a, high column       bit 31 row b, high column     (columns: c0, c2 for k = 0)
 *
 * Example: -1 everywhere but in column 0 of row 0 and columns 0 and 2 of row 2: bit 0, and bits 2
 * and 18; rows b have a 1 for each -1, the odd bits: 0xAAAAAAAA + 0x00040005 = 0xAAAEAAAF.
 *
 * Exact: from its centre, sum x / 2 rounded down (its negative, up), row a's sum is half of
 * sum x * w and at most a half more: at most 64 * 240 + 1 = 15361 < 2^14 in a block of 240 columns.
 * Row b's is at most 128 * 240, and the accumulator below 2^30.
 */
#define EDGEQ_NARROW_LANE   15
#define EDGEQ_NARROW_MASK   0x80018001
#define EDGEQ_NARROW_STEPS  6
#define EDGEQ_NARROW_PASSES 5
#define EDGEQ_NARROW_WORDS  1
#define EDGEQ_NARROW_SCALE  2
#define EDGEQ_NARROW_A      (-1)
#define EDGEQ_NARROW_B      1
#define EDGEQ_NARROW_BRIM   0
#include "edgeq_narrow_dsp.h"

EDGEQ_KERNEL void edgeq_fully_connected_s8_b1_dsp(const edgeq_fully_connected_params *p,
                                                  const int8_t *x, int8_t *y, void *scratch) {
    edgeq_fully_connected_narrow(p, x, y, scratch);
}
