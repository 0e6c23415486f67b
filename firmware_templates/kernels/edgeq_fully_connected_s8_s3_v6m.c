/* FullyConnected for ARMv6-M, s3 weights: see edgeq_fully_connected_v6m.h. Codes w + 3, 0 to 6: 40
 * * 255 * 6 = 61,200, below 2^16. Example, weights [1, -2] of row a and [3, 0] of row b: 4 + (1 <<
 * 3) + (6 << 16) + (3 << 19) = 0x001E000C. */
#define EDGEQ_V6M_BITS    3
#define EDGEQ_V6M_MASK    0x00070007
#define EDGEQ_V6M_COLUMNS 5
#define EDGEQ_V6M_WORDS   2
#define EDGEQ_V6M_CHUNK   40
#define EDGEQ_V6M_STEP    1
#define EDGEQ_V6M_OFFSET  (-3)
#include "edgeq_fully_connected_v6m.h"

EDGEQ_KERNEL void edgeq_fully_connected_s8_s3_v6m(const edgeq_fully_connected_params *p,
                                                  const int8_t *x, int8_t *y, void *scratch) {
    edgeq_fully_connected_v6m(p, x, y, scratch);
}
