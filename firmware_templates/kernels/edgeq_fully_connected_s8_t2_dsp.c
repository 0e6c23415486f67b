/* FullyConnected, ternary weights at 2 bits: two rows in a half, see edgeq_narrow_dsp.h.
 *
 * Row a's code is w + 1, row b's is w in two's complement. A word holds 8 columns of two rows.
 * Rotated right by 4 k and masked, it leaves for the activations' word k:
 *
 *   bits 0-1 row a, its low column    bits 14-15 row b, its low column
 *   bits 16-17 row a, high column     bits 30-31 row b, high column     (columns: c0, c2 for k = 0)
 *
 * Example, columns 0 to 7 of a = [1 -1 0 0 0 0 0 0] and b = [-1 0 1 0 0 0 0 0]: for k = 0 row a has
 * the codes 2 (c0) and 1 (c2), row b 3 and 1; for k = 1 (c1, c3) row a has 0 and 1, row b 0 and 0;
 * for k = 2 and 3 row a has 1 and 1, row b 0 and 0. Bits: 2 + (3 << 14) + (1 << 16) + (1 << 30),
 * + (1 << 20), + (1 << 8) + (1 << 24) + (1 << 12) + (1 << 28) = 0x5111D102.
 *
 * Exact: from its centre, sum x, row a's sum is sum x * w, at least -128 * 64 = -2^13 in a block of
 * 64 columns and at most 2^13, which it reaches where EDGEQ_NARROW_BRIM says. Row b's is as small,
 * and the accumulator below 2^28.
 */
#include "edgeq_dsp.h"

#define EDGEQ_NARROW_LANE 14
#define EDGEQ_NARROW_MASK 0xC003C003
#if EDGEQ_SHORT_LOOPS
#define EDGEQ_NARROW_STEPS  2
#define EDGEQ_NARROW_PASSES 4
#else
#define EDGEQ_NARROW_STEPS  8
#define EDGEQ_NARROW_PASSES 1
#endif
#define EDGEQ_NARROW_WORDS 2
#define EDGEQ_NARROW_SCALE 1
#define EDGEQ_NARROW_A     (-1)
#define EDGEQ_NARROW_B     0
#define EDGEQ_NARROW_BRIM  1
#include "edgeq_narrow_dsp.h"

EDGEQ_KERNEL void edgeq_fully_connected_s8_t2_dsp(const edgeq_fully_connected_params *p,
                                                  const int8_t *x, int8_t *y, void *scratch) {
    edgeq_fully_connected_narrow(p, x, y, scratch);
}
