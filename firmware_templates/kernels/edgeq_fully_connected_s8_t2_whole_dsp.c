/* FullyConnected, ternary weights at 2 bits, whole rows of up to 1920 columns, laid out as those of
 * edgeq_fully_connected_s8_t2_dsp.
 *
 * Exact where no row has more than 63 weights that are not 0, which the exporter checks and
 * training can see to (A2Q): from its centre row a's sum is within 63 * 128 < 2^13, so that no
 * block needs EDGEQ_NARROW_BRIM, row b's is as small. Intermediate sums may wrap. Wider rows go in
 * blocks.
 */
#include "edgeq_dsp.h"

#define EDGEQ_NARROW_LANE 14
#define EDGEQ_NARROW_MASK 0xC003C003
#if EDGEQ_SHORT_LOOPS
#define EDGEQ_NARROW_STEPS  2
#define EDGEQ_NARROW_PASSES 120
#else
#define EDGEQ_NARROW_STEPS  8
#define EDGEQ_NARROW_PASSES 30
#endif
#define EDGEQ_NARROW_WORDS 2
#define EDGEQ_NARROW_SCALE 1
#define EDGEQ_NARROW_A     (-1)
#define EDGEQ_NARROW_B     0
#define EDGEQ_NARROW_BRIM  0
#include "edgeq_narrow_dsp.h"

EDGEQ_KERNEL void edgeq_fully_connected_s8_t2_whole_dsp(const edgeq_fully_connected_params *p,
                                                        const int8_t *x, int8_t *y, void *scratch) {
    edgeq_fully_connected_narrow(p, x, y, scratch);
}
