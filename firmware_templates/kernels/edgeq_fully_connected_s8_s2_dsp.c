/* FullyConnected, weights -3 -1 1 3 at 2 bits: two rows in a half, see edgeq_narrow_dsp.h.
 *
 * Row a's code is (w + 3) / 2, 0 to 3; row b's is (w - 1) / 2, -2 to 1 in two's complement. A word
 * holds 8 columns of two rows. Rotated right by 4 k and masked, it leaves for the activations'
 * word k:
 *
 *   bits 0-1 row a, its low column    bits 14-15 row b, its low column
 *   bits 16-17 row a, high column     bits 30-31 row b, high column     (columns: c0, c2 for k = 0)
 *
 * Example, a = [3 -3 1 ...] and b = [-3 3 1 ...], -3 in the other columns of a and 1 in those of b:
 * for k = 0 row a has the codes 3 (c0) and 2 (c2), row b -2 and 0; for k = 1 (c1, c3) row a has 0
 * and 0, row b 1 (bits 18-19 of the word) and 0; else 0: 3 + (2 << 14) + (2 << 16) + (1 << 18)
 * = 0x00068003.
 *
 * Exact: from its centre, 3/2 sum x rounded down, row a's sum is half of sum x * w and at most a
 * half more: at most 64 * 3 * 40 + 1 = 7681 < 2^13 in a block of 40 columns. Row b's is at most
 * 2 * 128 * 40, and the accumulator below 2^28.
 */
#define EDGEQ_NARROW_LANE   14
#define EDGEQ_NARROW_MASK   0xC003C003
#define EDGEQ_NARROW_STEPS  5
#define EDGEQ_NARROW_PASSES 1
#define EDGEQ_NARROW_WORDS  2
#define EDGEQ_NARROW_SCALE  2
#define EDGEQ_NARROW_A      (-3)
#define EDGEQ_NARROW_B      1
#define EDGEQ_NARROW_BRIM   0
#include "edgeq_narrow_dsp.h"

EDGEQ_KERNEL void edgeq_fully_connected_s8_s2_dsp(const edgeq_fully_connected_params *p,
                                                  const int8_t *x, int8_t *y, void *scratch) {
    edgeq_fully_connected_narrow(p, x, y, scratch);
}
