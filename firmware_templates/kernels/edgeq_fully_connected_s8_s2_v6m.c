/* FullyConnected for ARMv6-M, s2 weights: see edgeq_fully_connected_v6m.h. Codes (w + 3) / 2, 0 to
 * 3: 80 * 255 * 3 = 61,200, below 2^16. Example, weights [1, -3] of row a and [3, -1] of row b: 2
 * + (0 << 2) + (3 << 16) + (1 << 18) = 0x00070002. */
#define EDGEQ_V6M_BITS    2
#define EDGEQ_V6M_MASK    0x00030003
#define EDGEQ_V6M_COLUMNS 8
#define EDGEQ_V6M_WORDS   1
#define EDGEQ_V6M_CHUNK   80
#define EDGEQ_V6M_STEP    2
#define EDGEQ_V6M_OFFSET  (-3)
#include "edgeq_fully_connected_v6m.h"

EDGEQ_KERNEL void edgeq_fully_connected_s8_s2_v6m(const edgeq_fully_connected_params *p,
                                                  const int8_t *x, int8_t *y, void *scratch) {
    edgeq_fully_connected_v6m(p, x, y, scratch);
}
