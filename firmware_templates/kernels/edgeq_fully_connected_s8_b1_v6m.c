/* FullyConnected for ARMv6-M, b1 weights: see edgeq_fully_connected_v6m.h. Codes (w + 1) / 2, 0 or
 * 1: 240 * 255 = 61,200, below 2^16. Example, weights [1, -1] of row a and [1, 1] of row b: 1 + (0
 * << 1) + (1 << 16) + (1 << 17) = 0x00030001. */
#define EDGEQ_V6M_BITS    1
#define EDGEQ_V6M_MASK    0x00010001
#define EDGEQ_V6M_COLUMNS 16
#define EDGEQ_V6M_WORDS   1
#define EDGEQ_V6M_CHUNK   240
#define EDGEQ_V6M_STEP    2
#define EDGEQ_V6M_OFFSET  (-1)
#include "edgeq_fully_connected_v6m.h"

EDGEQ_KERNEL void edgeq_fully_connected_s8_b1_v6m(const edgeq_fully_connected_params *p,
                                                  const int8_t *x, int8_t *y, void *scratch) {
    edgeq_fully_connected_v6m(p, x, y, scratch);
}
