/* A convolution whose weights stand in RAM: where the flash has wait states, what is read again for
 * every two pixels is copied first. */
#include "edgeq_kernels.h"

EDGEQ_KERNEL void edgeq_conv_2d_staged(const edgeq_conv_2d_params *whole, int32_t words,
                                       void *weight, edgeq_conv_2d_params *staged) {
    const uint32_t *from = whole->weight;
    uint32_t *to = weight;
    volatile uint32_t *few = to; /* or a compiler makes a call of the loop */
    int32_t at = 0;
    for (; ((words - at) & 7) != 0; at++) {
        few[at] = from[at];
    }
    for (; at != words; at += 8) { /* eight loads side by side, then eight stores */
        uint32_t a = from[at];
        uint32_t b = from[at + 1];
        uint32_t c = from[at + 2];
        uint32_t d = from[at + 3];
        uint32_t e = from[at + 4];
        uint32_t f = from[at + 5];
        uint32_t g = from[at + 6];
        uint32_t h = from[at + 7];
        to[at] = a;
        to[at + 1] = b;
        to[at + 2] = c;
        to[at + 3] = d;
        to[at + 4] = e;
        to[at + 5] = f;
        to[at + 6] = g;
        to[at + 7] = h;
    }
    (void)edgeq_conv_2d_band(whole, 0, INT32_MAX, staged);
    staged->weight = weight;
}
