/* edgeq_squared_difference_s8 with a constant for its second operand. */
#include "edgeq_kernels.h"

EDGEQ_KERNEL void edgeq_squared_difference_constant_s8(const edgeq_sum_constant_params *p,
                                                       const int8_t *x, int8_t *y) {
    edgeq_squared_difference_s8(&p->operands, x, p->other, y);
}
