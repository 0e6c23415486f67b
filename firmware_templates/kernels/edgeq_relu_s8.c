/* ReLU and ReLU6 between tensors of one scale: a clamp. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

EDGEQ_KERNEL void edgeq_relu_s8(const edgeq_relu_params *p, const int8_t *x, int8_t *y) {
    for (int32_t i = 0; i < p->size; i++) {
        y[i] = (int8_t)edgeq_clamp(x[i], p->activation_min, p->activation_max);
    }
}
