/* Any function of one number: its answer to each of the 256 inputs is looked up, four a turn. */
#include "edgeq_kernels.h"

EDGEQ_KERNEL void edgeq_lookup_s8(const edgeq_lookup_params *p, const int8_t *x, int8_t *y) {
    const int8_t *answer = p->table + 128;
    for (int32_t turns = p->size >> 2; turns > 0; turns--) {
        y[0] = answer[x[0]];
        y[1] = answer[x[1]];
        y[2] = answer[x[2]];
        y[3] = answer[x[3]];
        x += 4;
        y += 4;
    }
    for (int32_t i = 0; i < (p->size & 3); i++) {
        y[i] = answer[x[i]];
    }
}
