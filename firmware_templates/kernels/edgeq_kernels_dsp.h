/* Kernels for cores with the DSP extension: the operators of edgeq_kernels.h, bit for bit, on
 * weights packed in the order that the inner loop reads them.
 *
 * They differ from their plain twins in what the exporter prepares: `weight` is a stream of words
 * (each source states its layout), `bias` holds what the zero points add, |accumulator| < 2^30
 * (s16: 2^31 - 2^8), also when it has been shifted to the left. Conv2D has bias, multiplier and
 * shift (at least -22) in the stream; its pointers to them are null. Fully connected layers of 4
 * and 8 bits have all three at `bias`, as edgeq_row_table_dsp.h states; the other two pointers are
 * null. Fully connected layers of 3 bits and more, depthwise and 8-bit convolutions take shifts of
 * at most -1. Scratch is aligned to 8 bytes; edgeq/kernels/table.py has its size.
 */
#ifndef EDGEQ_KERNELS_DSP_H
#define EDGEQ_KERNELS_DSP_H

#include "edgeq_kernels.h"

void edgeq_fully_connected_s8_s16_dsp(const edgeq_fully_connected_params *p, const int8_t *x,
                                      int8_t *y, void *scratch);
void edgeq_fully_connected_s8_s8_dsp(const edgeq_fully_connected_params *p, const int8_t *x,
                                     int8_t *y, void *scratch);
void edgeq_fully_connected_s8_s4_dsp(const edgeq_fully_connected_params *p, const int8_t *x,
                                     int8_t *y, void *scratch);
void edgeq_fully_connected_s8_s3_dsp(const edgeq_fully_connected_params *p, const int8_t *x,
                                     int8_t *y, void *scratch);
void edgeq_fully_connected_s8_s2_dsp(const edgeq_fully_connected_params *p, const int8_t *x,
                                     int8_t *y, void *scratch);
void edgeq_fully_connected_s8_t2_dsp(const edgeq_fully_connected_params *p, const int8_t *x,
                                     int8_t *y, void *scratch);
void edgeq_fully_connected_s8_b1_dsp(const edgeq_fully_connected_params *p, const int8_t *x,
                                     int8_t *y, void *scratch);

/* Rows that need no splitting: in every row the sum of |w| is at most 4095, and 63. */
void edgeq_fully_connected_s8_s4_whole_dsp(const edgeq_fully_connected_params *p, const int8_t *x,
                                           int8_t *y, void *scratch);
void edgeq_fully_connected_s8_t2_whole_dsp(const edgeq_fully_connected_params *p, const int8_t *x,
                                           int8_t *y, void *scratch);

/* Shifts of at most -1; block scales stand in the stream. */
void edgeq_block_fully_connected_s8_s4_dsp(const edgeq_block_fully_connected_params *p,
                                           const int8_t *x, int8_t *y, void *scratch);
void edgeq_block_fully_connected_s8_t2_dsp(const edgeq_block_fully_connected_params *p,
                                           const int8_t *x, int8_t *y, void *scratch);

/* Whole fours of inputs; the parameters stand in the stream, too. */
void edgeq_block_fully_connected_s8_s4_cells_dsp(const edgeq_block_fully_connected_params *p,
                                                 const int8_t *x, int8_t *y, void *scratch);
void edgeq_block_fully_connected_s8_t2_cells_dsp(const edgeq_block_fully_connected_params *p,
                                                 const int8_t *x, int8_t *y, void *scratch);

void edgeq_conv_2d_s8_s8_dsp(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                             void *scratch);
void edgeq_conv_2d_s8_s4_dsp(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                             void *scratch);
void edgeq_conv_2d_s8_t2_dsp(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                             void *scratch);

void edgeq_depthwise_conv_2d_s8_s8_dsp(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                       void *scratch);
void edgeq_depthwise_conv_2d_s8_s4_dsp(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                                       void *scratch);

/* One window, the whole map: the kernel is as large as the input and there is no padding. Weights
 * are those of the plain kernel. */
void edgeq_depthwise_frame_s8_s8_dsp(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y);

/* At least four channels, a shift of at most -1. */
void edgeq_average_pool_2d_s8_dsp(const edgeq_average_pool_2d_params *p, const int8_t *x,
                                  int8_t *y);

/* One of multiplier and shift 0 and 1 is 2^30 and 0, the other too or its shift at most -1; that of
 * the output is -23 to -1. */
void edgeq_add_s8_dsp(const edgeq_add_params *p, const int8_t *a, const int8_t *b, int8_t *y);

void edgeq_log_mel_s16_dsp(const edgeq_log_mel_params *p, const int16_t *x, int8_t *y,
                           void *scratch);

void edgeq_mfcc_s16_dsp(const edgeq_mfcc_params *p, const int16_t *x, int8_t *y, void *scratch);

void edgeq_pcen_s16_dsp(const edgeq_pcen_params *p, const int16_t *x, int8_t *y, void *scratch);

void edgeq_pcen_step_s16_dsp(const edgeq_pcen_step_params *p, const int16_t *x, int8_t *y,
                             void *state, void *scratch);

/* Parameters, state and scratch are those of the plain kernels. */
void edgeq_lstm_s8_dsp(const edgeq_lstm_params *p, const int8_t *x, int8_t *y, void *scratch);
void edgeq_gru_s8_dsp(const edgeq_gru_params *p, const int8_t *x, int8_t *y, void *scratch);
void edgeq_mgu_s8_dsp(const edgeq_gru_params *p, const int8_t *x, int8_t *y, void *scratch);
void edgeq_lstm_step_s8_dsp(const edgeq_lstm_step_params *p, const int8_t *x, int8_t *y,
                            void *state, void *scratch);
void edgeq_gru_step_s8_dsp(const edgeq_gru_step_params *p, const int8_t *x, int8_t *y, void *state,
                           void *scratch);
void edgeq_mgu_step_s8_dsp(const edgeq_gru_step_params *p, const int8_t *x, int8_t *y, void *state,
                           void *scratch);
void edgeq_svdf_feature_s8_dsp(const edgeq_svdf_feature_params *p, const int8_t *x, int16_t *y);

/* Its layers' weights and biases are those of edgeq_fully_connected_s8_s8_dsp. */
void edgeq_router_s8_dsp(const edgeq_router_params *p, const int8_t *x, edgeq_routing *out,
                         void *scratch);

#endif
