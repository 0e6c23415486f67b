/* Conv2D for ARMv6-M, s8 weights: see edgeq_conv_2d_v6m.h. Example, weights [1, -2, 3, -4] of rows
 * 0 to 3 in one column: 1 - 512 and 3 - 1024, 0xFC03FE01. */
#define EDGEQ_V6M_BITS    8
#define EDGEQ_V6M_MASK    0
#define EDGEQ_V6M_COLUMNS 4
#define EDGEQ_V6M_CHUNK   256
#define EDGEQ_V6M_STEP    1
#define EDGEQ_V6M_OFFSET  0
#include "edgeq_conv_2d_v6m.h"

EDGEQ_KERNEL void edgeq_conv_2d_s8_s8_v6m(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                          void *scratch) {
    edgeq_conv_2d_v6m(p, x, y, scratch);
}
