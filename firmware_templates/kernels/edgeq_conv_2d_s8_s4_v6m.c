/* Conv2D for ARMv6-M, s4 weights: see edgeq_conv_2d_v6m.h. Codes w + 8, 1 to 15: 16 * 255 * 15 =
 * 61,200, below 2^16. Example, weights [1, -2] of row a and [3, 0] of row b: 9 + (6 << 4) +
 * (11 << 16) + (8 << 20) = 0x008B0069. */
#define EDGEQ_V6M_BITS    4
#define EDGEQ_V6M_MASK    0x000F000F
#define EDGEQ_V6M_COLUMNS 4
#define EDGEQ_V6M_CHUNK   16
#define EDGEQ_V6M_STEP    1
#define EDGEQ_V6M_OFFSET  (-8)
#include "edgeq_conv_2d_v6m.h"

EDGEQ_KERNEL void edgeq_conv_2d_s8_s4_v6m(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                          void *scratch) {
    edgeq_conv_2d_v6m(p, x, y, scratch);
}
