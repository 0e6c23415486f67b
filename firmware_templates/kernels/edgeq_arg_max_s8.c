/* The place of the largest of a row, less 128; masks instead of branches. */
#include "edgeq_kernels.h"

EDGEQ_KERNEL void edgeq_arg_max_s8(const edgeq_arg_max_params *p, const int8_t *x, int8_t *y) {
    for (int32_t i = 0; i < p->rows; i++) {
        int32_t largest = x[0];
        int32_t place = 0;
        for (int32_t k = 1; k < p->places; k++) {
            int32_t taken = (largest - x[k] - p->last) >> 31;
            largest += (x[k] - largest) & taken;
            place += (k - place) & taken;
        }
        x += p->places;
        *y++ = (int8_t)(place - 128);
    }
}
