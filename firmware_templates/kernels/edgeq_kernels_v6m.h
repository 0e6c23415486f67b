/* Kernels for ARMv6-M (Cortex-M0+): the operators of edgeq_kernels.h, bit for bit, on weights
 * packed in the order that the inner loop reads them (each source states it). `bias` holds what the
 * zero points add. Scratch is aligned to 8 bytes; edgeq/kernels/table.py has its size.
 */
#ifndef EDGEQ_KERNELS_V6M_H
#define EDGEQ_KERNELS_V6M_H

#include "edgeq_kernels.h"

void edgeq_fully_connected_s8_s8_v6m(const edgeq_fully_connected_params *p, const int8_t *x,
                                     int8_t *y, void *scratch);
void edgeq_fully_connected_s8_s4_v6m(const edgeq_fully_connected_params *p, const int8_t *x,
                                     int8_t *y, void *scratch);
void edgeq_fully_connected_s8_s3_v6m(const edgeq_fully_connected_params *p, const int8_t *x,
                                     int8_t *y, void *scratch);
void edgeq_fully_connected_s8_s2_v6m(const edgeq_fully_connected_params *p, const int8_t *x,
                                     int8_t *y, void *scratch);
void edgeq_fully_connected_s8_t2_v6m(const edgeq_fully_connected_params *p, const int8_t *x,
                                     int8_t *y, void *scratch);
void edgeq_fully_connected_s8_b1_v6m(const edgeq_fully_connected_params *p, const int8_t *x,
                                     int8_t *y, void *scratch);

/* s8 weights of -127 to 127. */
void edgeq_conv_2d_s8_s8_v6m(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                             void *scratch);
void edgeq_conv_2d_s8_s4_v6m(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                             void *scratch);
void edgeq_conv_2d_s8_t2_v6m(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                             void *scratch);

void edgeq_depthwise_conv_2d_s8_s8_v6m(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                       void *scratch);
void edgeq_depthwise_conv_2d_s8_s4_v6m(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                       void *scratch);

#endif
