/* A map between its cells, by tables of positions: TensorFlow Lite Micro's weights in Q20. */
#include "edgeq_kernels.h"
#include "edgeq_requantize.h"

enum { BITS = 10, ONE = 1 << BITS };

/* Low weighs one less the share of high, which is in Q10. */
static inline int32_t between(int32_t low, int32_t high, int32_t share) {
    return low * (ONE - share) + high * share;
}

EDGEQ_KERNEL void edgeq_resize_linear_s8(const edgeq_resize_linear_params *p, const int8_t *x,
                                         int8_t *y) {
    int32_t row = p->input_width * p->channels;
    for (int32_t i = 0; i < p->output_height; i++) {
        const int8_t *top = x + (p->down[i] >> BITS) * row;
        const int8_t *bottom = x + ((p->down[i] + ONE - 1) >> BITS) * row;
        int32_t below = p->down[i] & (ONE - 1);
        for (int32_t j = 0; j < p->output_width; j++) {
            int32_t left = (p->across[j] >> BITS) * p->channels;
            int32_t right = ((p->across[j] + ONE - 1) >> BITS) * p->channels;
            int32_t beside = p->across[j] & (ONE - 1);
            for (int32_t k = 0; k < p->channels; k++) {
                int32_t upper = between(top[left + k], top[right + k], beside);
                int32_t lower = between(bottom[left + k], bottom[right + k], beside);
                *y++ = (int8_t)edgeq_rdp(between(upper, lower, below), 2 * BITS);
            }
        }
    }
}
