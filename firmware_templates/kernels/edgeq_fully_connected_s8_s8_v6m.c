/* FullyConnected for ARMv6-M, s8 weights: see edgeq_fully_connected_v6m.h. Weights -127 to 127 as
 * they are. Example, weights [1, -2, 3, -4] of rows 0 to 3 in one column: 0xFC03FE01. */
#define EDGEQ_V6M_BITS    8
#define EDGEQ_V6M_MASK    0xFF
#define EDGEQ_V6M_COLUMNS 1
#define EDGEQ_V6M_WORDS   8
#define EDGEQ_V6M_CHUNK   0
#define EDGEQ_V6M_STEP    1
#define EDGEQ_V6M_OFFSET  0
#include "edgeq_fully_connected_v6m.h"

EDGEQ_KERNEL void edgeq_fully_connected_s8_s8_v6m(const edgeq_fully_connected_params *p,
                                                  const int8_t *x, int8_t *y, void *scratch) {
    edgeq_fully_connected_v6m(p, x, y, scratch);
}
