/* Kernels for cores with Helium, the vector extension of Armv8.1-M (Cortex-M55, M85): the operators
 * of edgeq_kernels.h, bit for bit, on the same weights. They read no byte behind an operand. */
#ifndef EDGEQ_KERNELS_MVE_H
#define EDGEQ_KERNELS_MVE_H

#include "edgeq_kernels.h"

void edgeq_fully_connected_s8_s8_mve(const edgeq_fully_connected_params *p, const int8_t *x,
                                     int8_t *y);
void edgeq_fully_connected_s8_s4_mve(const edgeq_fully_connected_params *p, const int8_t *x,
                                     int8_t *y);
void edgeq_fully_connected_s8_t2_mve(const edgeq_fully_connected_params *p, const int8_t *x,
                                     int8_t *y);

/* Scratch: a patch, as of the plain kernels. */
void edgeq_conv_2d_s8_s8_mve(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                             int8_t *scratch);
void edgeq_conv_2d_s8_s4_mve(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                             int8_t *scratch);
void edgeq_conv_2d_s8_t2_mve(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                             int8_t *scratch);

void edgeq_depthwise_conv_2d_s8_s8_mve(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y);

#endif
