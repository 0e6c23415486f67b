/* One frame of memory: the frame before goes out, this one is kept. Bytes, whatever their type. */
#include "edgeq_kernels.h"

EDGEQ_KERNEL void edgeq_delay_s8(const edgeq_delay_params *p, const void *x, void *y, void *state) {
    const uint8_t *given = x;
    uint8_t *made = y;
    uint8_t *kept = state;
    for (int32_t i = 0; i < p->bytes; i++) {
        made[i] = kept[i];
        kept[i] = given[i];
    }
}
