/* Conv2D for ARMv6-M, t2 weights: see edgeq_conv_2d_v6m.h. Codes w + 1, 0 to 2: 128 * 255 * 2 =
 * 65,280, below 2^16. Example, weights [1, -1] of row a and [-1, 0] of row b: 2 + (0 << 2) +
 * (0 << 16) + (1 << 18) = 0x00040002. */
#define EDGEQ_V6M_BITS    2
#define EDGEQ_V6M_MASK    0x00030003
#define EDGEQ_V6M_COLUMNS 8
#define EDGEQ_V6M_CHUNK   128
#define EDGEQ_V6M_STEP    1
#define EDGEQ_V6M_OFFSET  (-1)
#include "edgeq_conv_2d_v6m.h"

EDGEQ_KERNEL void edgeq_conv_2d_s8_t2_v6m(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                          void *scratch) {
    edgeq_conv_2d_v6m(p, x, y, scratch);
}
