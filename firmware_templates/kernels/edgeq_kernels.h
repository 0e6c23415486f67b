/* edgeq kernels: the integer operators of a model, bit for bit what edgeq's numpy reference says.
 *
 * Every kernel is a pure function of its arguments: no state, no allocation, no divide, no branch
 * on data, so its cycle count depends on shapes alone. Parameter structs hold only constants and
 * belong in flash; they are written here alone, and edgeq/ops/<op>.py fills their members by name
 * (tests/unit/ops/test_op_table.py compares them). Activations are int8, batch 1, channels last
 * (height, width, channels).
 *
 *   accumulator = bias + sum (x - input_zero_point) * w                               int32
 *   y = clamp(output_zero_point + RDP(SRDHM(accumulator << left, multiplier), right))
 *
 * with left = max(shift, 0), right = max(-shift, 0); edgeq_requantize.h defines SRDHM and RDP.
 * The caller owes |bias| + sum max|x - input_zero_point| * |w| < 2^31 and an accumulator << left
 * inside int32; the exporter proves both.
 * Weights are packed rows of `columns` weights; each row starts on a 4-byte word, first weight in
 * the lowest bits of the first byte, the rest of a row's last word is zero:
 *
 *   token  bits  code in the row       weights            bytes of a row (then rounded up to 4)
 *   s16    16    w, little endian      -32767..32767      2 columns
 *   s8      8    w                     -127..127          columns
 *   s4      4    w, two's complement   -7..7              (columns + 1) / 2
 *   s3      3    w + 3                 -3..3              3 * ((columns + 7) / 8)
 *   s2      2    (w + 3) / 2           -3 -1 1 3          (columns + 3) / 4
 *   t2      2    w + 1                 -1 0 1             (columns + 3) / 4
 *   b1      1    (w + 1) / 2           -1 1               (columns + 7) / 8
 *
 * Plain C and the kernels for ARMv6-M take s8 weights of -128 too. Examples, five weights each:
 *   s4  [ 1, -2, 7, 0, -7]  ->  E1 07 09 00                   two a byte, low nibble first
 *   s3  [ 1, -2, 3, 0, -3]  ->  codes 4 1 6 3 0: 8C 07 00 00  eight weights in three bytes
 *   s2  [ 1, -3, 3, -1, 3]  ->  codes 2 0 3 1 3: 72 03 00 00
 *   t2  [ 1, -1, 0, 0,  1]  ->  codes 2 0 1 1 2: 52 02 00 00
 *   b1  [ 1, -1, -1, 1, 1]  ->  bits  1 0 0 1 1: 19 00 00 00
 */
#ifndef EDGEQ_KERNELS_H
#define EDGEQ_KERNELS_H

#include <stdint.h>

#include "edgeq_kernel_version.h"

/* Weight: `outputs` rows of `inputs` columns. bias, multiplier and shift have one entry a row. */
typedef struct {
    const void *weight; /* aligned to 4 bytes */
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t inputs;
    int32_t outputs;
    int32_t input_zero_point;
    int32_t output_zero_point;
    int32_t activation_min;
    int32_t activation_max;
} edgeq_fully_connected_params;

/* x: inputs, y: outputs; they may not overlap. */
void edgeq_fully_connected_s8_s16(const edgeq_fully_connected_params *p, const int8_t *x,
                                  int8_t *y);
void edgeq_fully_connected_s8_s8(const edgeq_fully_connected_params *p, const int8_t *x, int8_t *y);
void edgeq_fully_connected_s8_s4(const edgeq_fully_connected_params *p, const int8_t *x, int8_t *y);
void edgeq_fully_connected_s8_s3(const edgeq_fully_connected_params *p, const int8_t *x, int8_t *y);
void edgeq_fully_connected_s8_s2(const edgeq_fully_connected_params *p, const int8_t *x, int8_t *y);
void edgeq_fully_connected_s8_t2(const edgeq_fully_connected_params *p, const int8_t *x, int8_t *y);
void edgeq_fully_connected_s8_b1(const edgeq_fully_connected_params *p, const int8_t *x, int8_t *y);

/* Ternary weights as a stream at 1.6 bits, which its source states; `bias` holds what the input's
 * zero point adds. Scratch is aligned to 8 bytes; edgeq/kernels/table.py has its size. */
void edgeq_fully_connected_s8_t5(const edgeq_fully_connected_params *p, const int8_t *x, int8_t *y,
                                 void *scratch);

/* A row with a scale for every `block` weights (32, 64 or 128, the last block perhaps shorter),
 * over the last axis of `cells` cells: accumulator = bias + sum block_scale * (x -
 * input_zero_point) * w. block_scale: (outputs, blocks) bytes, null where the stream has them. */
typedef struct {
    edgeq_fully_connected_params layer;
    const uint8_t *block_scale;
    int32_t block;
    int32_t cells;
} edgeq_block_fully_connected_params;

/* x: cells times inputs, y: cells times outputs; they may not overlap. */
void edgeq_block_fully_connected_s8_s4(const edgeq_block_fully_connected_params *p, const int8_t *x,
                                       int8_t *y);
void edgeq_block_fully_connected_s8_t2(const edgeq_block_fully_connected_params *p, const int8_t *x,
                                       int8_t *y);

/* How a kernel slides over a map. Cells outside the map (before the first row or column, as
 * padding_top and padding_left say, and after the last) hold the real number zero. */
typedef struct {
    int32_t input_height;
    int32_t input_width;
    int32_t channels; /* of the input */
    int32_t output_height;
    int32_t output_width;
    int32_t kernel_height;
    int32_t kernel_width;
    int32_t stride_height;
    int32_t stride_width;
    int32_t padding_top;
    int32_t padding_left;
} edgeq_window;

/* Conv2D. Weight: one row an output channel, its (kernel_height, kernel_width, channels) flat.
 * DepthwiseConv2D (multiplier 1, outputs = channels). Weight: one row of `channels` columns a tap,
 * taps in the order (kernel_height, kernel_width). */
typedef struct {
    const void *weight; /* aligned to 4 bytes */
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    edgeq_window window;
    int32_t outputs;
    int32_t input_zero_point;
    int32_t output_zero_point;
    int32_t activation_min;
    int32_t activation_max;
} edgeq_conv_2d_params;

/* scratch: kernel_height * kernel_width * channels bytes; unused (may be null) for a 1x1 kernel
 * without padding. */
void edgeq_conv_2d_s8_s8(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                         int8_t *scratch);
void edgeq_conv_2d_s8_s4(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                         int8_t *scratch);
void edgeq_conv_2d_s8_s3(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                         int8_t *scratch);
void edgeq_conv_2d_s8_s2(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                         int8_t *scratch);
void edgeq_conv_2d_s8_t2(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                         int8_t *scratch);
void edgeq_conv_2d_s8_b1(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y,
                         int8_t *scratch);

void edgeq_depthwise_conv_2d_s8_s8(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y);
void edgeq_depthwise_conv_2d_s8_s4(const edgeq_conv_2d_params *p, const int8_t *x, int8_t *y);

/* Int16 activations with int8 weights, 64-bit sums: y = clamp((sum * multiplier + half) >> (15 -
 * shift)), the multiplier of 15 bits; narrow_sums: sums of 32 bits, requantised as above, whose
 * reach the caller owes. Both zero points are 0. A kernel's cells are dilation_height and
 * dilation_width apart. Of each of `groups`: the channels that it reads, the outputs it makes.
 * Weight: one row an output, its (kernel_height, kernel_width, group_channels) flat, unpadded. */
typedef struct {
    const int8_t *weight;
    const int64_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    edgeq_window window;
    int32_t dilation_height;
    int32_t dilation_width;
    int32_t groups;
    int32_t group_channels;
    int32_t group_outputs;
    int32_t narrow_sums;
    int32_t activation_min;
    int32_t activation_max;
} edgeq_wide_conv_2d_params;

void edgeq_conv_2d_s16_s8(const edgeq_wide_conv_2d_params *p, const int16_t *x, int16_t *y);

/* Rows [row, row + rows) of the output, or as many as there are, as a layer of their own: *band,
 * whose x begins at the row of the input that is returned. A 1x1 kernel at stride 1 without padding
 * takes the map as one row, and `row` and `rows` count pixels. Every band must reach into the map.
 */
int32_t edgeq_conv_2d_band(const edgeq_conv_2d_params *whole, int32_t row, int32_t rows,
                           edgeq_conv_2d_params *band);

/* The same layer with its weights in RAM: copies `words` words to `weight`, aligned to 4
 * bytes, from where *staged reads them. */
void edgeq_conv_2d_staged(const edgeq_conv_2d_params *whole, int32_t words, void *weight,
                          edgeq_conv_2d_params *staged);

/* How the parts of a dilated axis are sampled: cells of the map from one of a part to the next, and
 * outputs likewise; stride: from window to window of a part. Without dilation 1, 1 and the whole's.
 */
typedef struct {
    int32_t dilation;
    int32_t apart;
    int32_t stride;
} edgeq_sampling;

/* Of a group: its channels, its outputs, the bytes of its weights. */
typedef struct {
    int32_t channels;
    int32_t outputs;
    int32_t weight_bytes;
    edgeq_sampling down;
    edgeq_sampling across;
} edgeq_conv_2d_parts;

/* A Conv2D with groups or dilation, a DepthwiseConv2D with dilation: *whole has the window without
 * dilation, weights group after group. The part of `group` that makes the outputs row, row + apart
 * ... of column, column + apart ... becomes a layer of its own, *part, and the cells that it reads
 * go to `cells`, one of padding where it reads none. */
void edgeq_conv_2d_part(const edgeq_conv_2d_params *whole, const edgeq_conv_2d_parts *parts,
                        int32_t group, int32_t row, int32_t column, const int8_t *x, int8_t *cells,
                        edgeq_conv_2d_params *part);

/* What that layer made of them goes where it belongs. */
void edgeq_conv_2d_put_part(const edgeq_conv_2d_params *whole, const edgeq_conv_2d_parts *parts,
                            int32_t group, int32_t row, int32_t column, const int8_t *made,
                            int8_t *y);

/* Average without padding: the sum is requantised by scale_in / (scale_out * cells). */
typedef struct {
    edgeq_window window;
    int32_t input_zero_point;
    int32_t output_zero_point;
    int32_t multiplier;
    int32_t shift;
} edgeq_average_pool_2d_params;

void edgeq_average_pool_2d_s8(const edgeq_average_pool_2d_params *p, const int8_t *x, int8_t *y);

/* The mean of the codes of the cells inside the map, rounded half away from zero. reciprocal:
 * 2^31 / cells, rounded up, of windows with least_rows rows and more and least_columns columns and
 * more inside, `columns` entries a row; at most 4087 cells. */
typedef struct {
    const uint32_t *reciprocal;
    edgeq_window window;
    int32_t least_rows;
    int32_t least_columns;
    int32_t columns;
    int32_t activation_min;
    int32_t activation_max;
} edgeq_mean_pool_2d_params;

void edgeq_mean_pool_2d_s8(const edgeq_mean_pool_2d_params *p, const int8_t *x, int8_t *y);

/* Padded cells never win. */
void edgeq_max_pool_2d_s8(const edgeq_window *p, const int8_t *x, int8_t *y);

/* Index 0 and 1: the inputs, 2: the output. */
typedef struct {
    int32_t size;
    int32_t zero_point[3];
    int32_t multiplier[3];
    int32_t shift[3];
    int32_t activation_min;
    int32_t activation_max;
} edgeq_add_params;

/* y may be a or b. */
void edgeq_add_s8(const edgeq_add_params *p, const int8_t *a, const int8_t *b, int8_t *y);

typedef struct {
    int32_t size;
    int32_t activation_min;
    int32_t activation_max;
} edgeq_relu_params;

/* y may be x. */
void edgeq_relu_s8(const edgeq_relu_params *p, const int8_t *x, int8_t *y);

/* shift: negative right; |x| << left stays in int32. */
typedef struct {
    int32_t size;
    int32_t multiplier;
    int32_t shift;
    int32_t output_zero_point;
} edgeq_narrow_params;

/* Index 0 and 1: the inputs, 2: the output; the zero points are 0. */
typedef struct {
    int32_t size;
    int32_t multiplier[3];
    int32_t shift[3];
    int32_t activation_min;
    int32_t activation_max;
} edgeq_wide_add_params;

/* y may be a or b. */
void edgeq_add_s16(const edgeq_wide_add_params *p, const int16_t *a, const int16_t *b, int16_t *y);

/* As edgeq_narrow_params. */
typedef struct {
    int32_t size;
    int32_t multiplier;
    int32_t shift;
    int32_t input_zero_point;
} edgeq_widen_params;

void edgeq_widen_s8(const edgeq_widen_params *p, const int8_t *x, int16_t *y);

/* As their twins on int8. */
void edgeq_max_pool_2d_s16(const edgeq_window *p, const int16_t *x, int16_t *y);
void edgeq_mean_pool_2d_s16(const edgeq_mean_pool_2d_params *p, const int16_t *x, int16_t *y);

void edgeq_narrow_s16(const edgeq_narrow_params *p, const int16_t *x, int8_t *y);

/* A frame of `bytes` bytes, int8 or int16. */
typedef struct {
    int32_t bytes;
} edgeq_delay_params;

/* y becomes what `state` is, state becomes x; none may overlap another. */
void edgeq_delay_s8(const edgeq_delay_params *p, const void *x, void *y, void *state);

/* `frames` frames of `samples` samples, even and at most `fft`, one every `hop`; fft: 256, 512 or
 * 1024. preemphasis: Q15, 0 to 32767. window: of a Hann window the first samples / 2 + 1, sine: of
 * 2 pi i / fft the first 3 fft / 4 + 1, both Q31. bands: first bin and number of bins of each of
 * `mels` bands, whose weights, in 255ths, stand one band behind another. floor: 1 or more.
 * log_table: log2(1 + i / 64) in Q15, 65 of them; the multiplier takes that less `offset`. */
typedef struct {
    const int32_t *window;
    const int32_t *sine;
    const uint16_t *bands;
    const uint8_t *weights;
    const uint16_t *log_table;
    int64_t floor;
    int32_t samples;
    int32_t hop;
    int32_t fft;
    int32_t mels;
    int32_t frames;
    int32_t preemphasis;
    int32_t offset;
    int32_t multiplier;
    int32_t shift;
    int32_t output_zero_point;
} edgeq_log_mel_params;

/* scratch: 8 * (fft / 2 + 1) bytes, aligned to 8. */
void edgeq_log_mel_s16(const edgeq_log_mel_params *p, const int16_t *x, int8_t *y, void *scratch);

/* cosines: `coefficients` rows of log_mel.mels, Q15, each of whose sums of magnitudes is at most
 * the root of that; log_mel.multiplier takes their sums. */
typedef struct {
    edgeq_log_mel_params log_mel;
    const int16_t *cosines;
    int32_t coefficients;
} edgeq_mfcc_params;

/* scratch: 8 * (fft / 2 + 1) + 4 * mels bytes, aligned to 8. */
void edgeq_mfcc_s16(const edgeq_mfcc_params *p, const int16_t *x, int8_t *y, void *scratch);

/* power_table: 2^(i / 64) - 1 in Q15, 65 of them. delta, lift: Q30; smooth: 2^-16, 66 to 65536;
 * alpha, root: Q30, at most 2^30. No power is 2^22, `most` is in Q15, and with it |power - lift| is
 * at most 2^down, which log_mel.multiplier takes as 2^30; log_mel.offset is of alpha, log_mel.floor
 * the paper's epsilon. */
typedef struct {
    edgeq_log_mel_params log_mel;
    const uint16_t *power_table;
    int64_t delta;
    int64_t lift;
    int32_t smooth;
    int32_t alpha;
    int32_t root;
    int32_t most;
    int32_t down;
} edgeq_pcen_params;

/* scratch: 8 * (fft / 2 + 1 + mels) bytes, aligned to 8. */
void edgeq_pcen_s16(const edgeq_pcen_params *p, const int16_t *x, int8_t *y, void *scratch);

/* A call whose number since the reset is below `wait` leaves nothing kept. */
typedef struct {
    edgeq_pcen_params sequence;
    int32_t wait;
} edgeq_pcen_step_params;

/* As edgeq_pcen_s16 from where the call before ended. state: four times mels codes, the energies of
 * all bands by their low 16 bits first, and a count, all int16 and 0 after a reset. scratch: that
 * of edgeq_log_mel_s16. */
void edgeq_pcen_step_s16(const edgeq_pcen_step_params *p, const int16_t *x, int8_t *y, void *state,
                         void *scratch);

/* An LSTM of `units` over `steps` rows of `features`. Rows of the weights: gate by gate, in the
 * order input, forget, cell, output; their multipliers give Q3.12. Products: forget gate times
 * cell, input gate times cell gate, output gate times tanh of the cell, which is in steps of
 * 2^cell_power, -15 to -9, and clamped to +-cell_clip. table: 65536 sigmoid(i / 24), 256 of them,
 * the last twice. */
typedef struct {
    const int8_t *input_weight;
    const int8_t *recurrent_weight;
    const int32_t *bias;
    const uint16_t *table;
    int32_t input_multiplier[4];
    int32_t input_shift[4];
    int32_t recurrent_multiplier[4];
    int32_t recurrent_shift[4];
    int32_t product_multiplier[3];
    int32_t product_shift[3];
    int32_t steps;
    int32_t features;
    int32_t units;
    int32_t cell_power;
    int32_t cell_clip;
    int32_t input_zero_point;
    int32_t output_zero_point;
} edgeq_lstm_params;

/* y: the hidden state at every step, which begins at zero. scratch: 3 * units bytes, aligned to 2.
 */
void edgeq_lstm_s8(const edgeq_lstm_params *p, const int8_t *x, int8_t *y, void *scratch);

/* A call whose number since the reset is below `wait` leaves a state of zero. */
typedef struct {
    edgeq_lstm_params sequence;
    int32_t wait;
} edgeq_lstm_step_params;

/* As edgeq_lstm_s8 from where the call before ended. state: the cells, the hidden states without
 * the zero point and a count, all int16 and 0 after a reset. scratch: units bytes. */
void edgeq_lstm_step_s8(const edgeq_lstm_step_params *p, const int8_t *x, int8_t *y, void *state,
                        void *scratch);

/* A GRU of `units` over `steps` rows of `features`. Rows of the weights: gate by gate, in the order
 * reset, update, new; their multipliers give Q3.12. The reset gate multiplies the new gate's sums
 * of the hidden state. The state is Q0.15, which the output's multiplier makes int8. table: that of
 * an LSTM. */
typedef struct {
    const int8_t *input_weight;
    const int8_t *recurrent_weight;
    const int32_t *bias;
    const int32_t *recurrent_bias;
    const uint16_t *table;
    int32_t input_multiplier[3];
    int32_t input_shift[3];
    int32_t recurrent_multiplier[3];
    int32_t recurrent_shift[3];
    int32_t output_multiplier;
    int32_t output_shift;
    int32_t steps;
    int32_t features;
    int32_t units;
    int32_t input_zero_point;
    int32_t output_zero_point;
} edgeq_gru_params;

/* y and scratch as edgeq_lstm_s8. */
void edgeq_gru_s8(const edgeq_gru_params *p, const int8_t *x, int8_t *y, void *scratch);

/* Two gates, forget and new, whose rows and multipliers are the first two; else as edgeq_gru_s8. */
void edgeq_mgu_s8(const edgeq_gru_params *p, const int8_t *x, int8_t *y, void *scratch);

typedef struct {
    edgeq_gru_params sequence;
    int32_t wait;
} edgeq_gru_step_params;

/* As edgeq_gru_s8 and edgeq_mgu_s8, and as edgeq_lstm_step_s8; state: the states and a count. */
void edgeq_gru_step_s8(const edgeq_gru_step_params *p, const int8_t *x, int8_t *y, void *state,
                       void *scratch);

void edgeq_mgu_step_s8(const edgeq_gru_step_params *p, const int8_t *x, int8_t *y, void *state,
                       void *scratch);

/* Of each of `frames` rows of `features` its `filters`, rows of the weight. */
typedef struct {
    const int8_t *feature_weight;
    int32_t frames;
    int32_t features;
    int32_t filters;
    int32_t multiplier;
    int32_t shift;
    int32_t input_zero_point;
} edgeq_svdf_feature_params;

void edgeq_svdf_feature_s8(const edgeq_svdf_feature_params *p, const int8_t *x, int16_t *y);

/* y has `frames` rows of filters / rank units; x one of filters for each of them, and memory - 1 in
 * front of those, of which the first `before`, fewer than memory, are zeros that do not stand
 * there. taps: a row of filters for each of `memory` frames, the oldest first; a unit sums `rank`
 * filters that follow one another, modulo 2^32. */
typedef struct {
    const int16_t *taps;
    const int32_t *bias;
    int32_t frames;
    int32_t before;
    int32_t memory;
    int32_t filters;
    int32_t rank;
    int32_t multiplier;
    int32_t shift;
    int32_t output_zero_point;
    int32_t activation_min;
    int32_t activation_max;
} edgeq_svdf_time_params;

void edgeq_svdf_time_s16(const edgeq_svdf_time_params *p, const int16_t *x, int8_t *y);

/* Bytes, int8 or int16. Of `given` by this call, after what others left: y takes the first `old` of
 * the state and the first `new_made` given; the state keeps its last `stays`, then the last
 * `new_kept` given. */
typedef struct {
    int32_t old;
    int32_t new_made;
    int32_t given;
    int32_t stays;
    int32_t new_kept;
} edgeq_history_params;

/* state, then x, are one sequence: y becomes its first bytes, state its last. None may overlap. */
void edgeq_history_s8(const edgeq_history_params *p, const void *x, void *y, void *state);

/* table: 256 entries, the answers to -128, -127 ... 127. */
typedef struct {
    const int8_t *table;
    int32_t size;
} edgeq_lookup_params;

/* y may be x. */
void edgeq_lookup_s8(const edgeq_lookup_params *p, const int8_t *x, int8_t *y);

/* size: six axes, the outermost first, each at least 1; strides count cells, below zero too.
 * fill_size: cells of y that hold `fill` first; 0 where the copy writes them all. */
typedef struct {
    int32_t size[6];
    int32_t input_stride[6];
    int32_t output_stride[6];
    int32_t input_first;
    int32_t output_first;
    int32_t fill_size;
    int32_t fill;
} edgeq_copy_params;

/* They may not overlap. */
void edgeq_copy_s8(const edgeq_copy_params *p, const int8_t *x, int8_t *y);

/* places: `count` cells of an axis of `cells`; outer: cells before the axis, inner: behind it. */
typedef struct {
    const uint16_t *places;
    int32_t outer;
    int32_t cells;
    int32_t count;
    int32_t inner;
} edgeq_gather_params;

/* They may not overlap. */
void edgeq_gather_s8(const edgeq_gather_params *p, const int8_t *x, int8_t *y);

/* count ids, held between 0 and `last`: a row of `width` for each. */
typedef struct {
    const int8_t *table;
    int32_t count;
    int32_t last;
    int32_t width;
} edgeq_embedding_params;

void edgeq_embedding_s16(const edgeq_embedding_params *p, const int16_t *x, int8_t *y);

/* down, across: where each row and column of the output lies, in 1/1024 of a cell, inside the map.
 */
typedef struct {
    const int32_t *down;
    const int32_t *across;
    int32_t input_width;
    int32_t channels;
    int32_t output_height;
    int32_t output_width;
} edgeq_resize_linear_params;

/* They may not overlap. */
void edgeq_resize_linear_s8(const edgeq_resize_linear_params *p, const int8_t *x, int8_t *y);

/* block: cells of each input behind the axis and on it; row: their sum; outer: cells before it. */
typedef struct {
    const int32_t *block;
    int32_t inputs;
    int32_t outer;
    int32_t row;
} edgeq_concat_params;

/* x: `inputs` tensors, none of which may overlap y. */
void edgeq_concat_s8(const edgeq_concat_params *p, const int8_t *const *x, int8_t *y);

/* size: four axes, the outermost first; a stride is 0 where an operand is repeated. zero_point,
 * multiplier, shift: a, b, y. sign: 1 or -1. */
typedef struct {
    int32_t size[4];
    int32_t a_stride[4];
    int32_t b_stride[4];
    int32_t zero_point[3];
    int32_t multiplier[3];
    int32_t shift[3];
    int32_t sign[2];
    int32_t activation_min;
    int32_t activation_max;
} edgeq_sum_params;

typedef struct {
    const int8_t *other;
    edgeq_sum_params operands;
} edgeq_sum_constant_params;

/* y may be an operand that is not repeated. */
void edgeq_sum_s8(const edgeq_sum_params *p, const int8_t *a, const int8_t *b, int8_t *y);
void edgeq_sum_constant_s8(const edgeq_sum_constant_params *p, const int8_t *x, int8_t *y);
void edgeq_squared_difference_s8(const edgeq_sum_params *p, const int8_t *a, const int8_t *b,
                                 int8_t *y);
void edgeq_squared_difference_constant_s8(const edgeq_sum_constant_params *p, const int8_t *x,
                                          int8_t *y);

typedef struct {
    int32_t size[4];
    int32_t a_stride[4];
    int32_t b_stride[4];
    int32_t zero_point[3];
    int32_t multiplier;
    int32_t shift;
    int32_t activation_min;
    int32_t activation_max;
} edgeq_multiply_params;

typedef struct {
    const int8_t *other;
    edgeq_multiply_params operands;
} edgeq_multiply_constant_params;

/* y may be an operand that is not repeated. */
void edgeq_multiply_s8(const edgeq_multiply_params *p, const int8_t *a, const int8_t *b, int8_t *y);
void edgeq_multiply_constant_s8(const edgeq_multiply_constant_params *p, const int8_t *x,
                                int8_t *y);

/* Matrices (rows, depth) by (depth, columns). a_batch, b_batch: cells from one matrix to the next,
 * 0 for one that all share; b_depth, b_column: from one cell of b to the next. zero_point: a, b, y.
 */
typedef struct {
    int32_t batches;
    int32_t rows;
    int32_t depth;
    int32_t columns;
    int32_t a_batch;
    int32_t b_batch;
    int32_t b_depth;
    int32_t b_column;
    int32_t zero_point[3];
    int32_t multiplier;
    int32_t shift;
} edgeq_batch_matmul_params;

/* y may overlap neither. */
void edgeq_batch_matmul_s8(const edgeq_batch_matmul_params *p, const int8_t *a, const int8_t *b,
                           int8_t *y);

/* Each of `rows` vectors of `features`: multiplier and shift of values below zero, `positive` of
 * others. */
typedef struct {
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t rows;
    int32_t features;
    int32_t positive[2];
    int32_t input_zero_point;
    int32_t output_zero_point;
} edgeq_prelu_params;

/* y may be x. */
void edgeq_prelu_s8(const edgeq_prelu_params *p, const int8_t *x, int8_t *y);

/* sign: 1 for the larger, -1 for the smaller. */
typedef struct {
    int32_t size[4];
    int32_t a_stride[4];
    int32_t b_stride[4];
    int32_t sign;
} edgeq_extreme_params;

/* y may be an operand that is not repeated. */
void edgeq_extreme_s8(const edgeq_extreme_params *p, const int8_t *a, const int8_t *b, int8_t *y);

/* Normalises each of `rows` vectors of `features` values: gamma and beta count 2^-shift output
 * steps, gamma per Q11 unit. At most 65,536 features, 1 <= shift <= 30. */
typedef struct {
    const int16_t *gamma;
    const int32_t *beta;
    int64_t epsilon; /* eps * (features / scale_in)^2, at least 1 */
    int32_t rows;
    int32_t features;
    int32_t shift;
    int32_t output_zero_point;
    int32_t activation_min;
    int32_t activation_max;
} edgeq_layer_norm_params;

/* y may be x. */
void edgeq_layer_norm_s8(const edgeq_layer_norm_params *p, const int8_t *x, int8_t *y);

/* Normalises each group of `width` channels over `cells` cells, in each of `rows` maps of
 * (cells, groups, width): gamma and beta, one a channel, as in edgeq_layer_norm_params. centred: 1,
 * or 0 for the root of the mean square. cells * width is at most 65,536. */
typedef struct {
    const int16_t *gamma;
    const int32_t *beta;
    int64_t epsilon; /* eps * (cells * width / scale_in)^2, at least 1 */
    int32_t rows;
    int32_t cells;
    int32_t groups;
    int32_t width;
    int32_t centred;
    int32_t input_zero_point;
    int32_t shift;
    int32_t output_zero_point;
    int32_t activation_min;
    int32_t activation_max;
} edgeq_group_norm_params;

/* y may be x. */
void edgeq_group_norm_s8(const edgeq_group_norm_params *p, const int8_t *x, int8_t *y);

/* exp_table: 256 entries, exp(-d * scale) in Q15. Output scale 1/256, zero point -128. */
typedef struct {
    const uint16_t *exp_table;
    int32_t rows;
    int32_t classes;
} edgeq_softmax_params;

/* y may be x. */
void edgeq_softmax_s8(const edgeq_softmax_params *p, const int8_t *x, int8_t *y);

/* exp_q31: 256 entries, exp(-d * scale) in Q0.31; at most 511 classes. TensorFlow Lite Micro's
 * arithmetic; output scale 1/256, zero point -128. */
typedef struct {
    const int32_t *exp_q31;
    int32_t rows;
    int32_t classes;
} edgeq_softmax_q31_params;

/* y may be x. */
void edgeq_softmax_q31_s8(const edgeq_softmax_q31_params *p, const int8_t *x, int8_t *y);

/* exp_q31 as in edgeq_softmax_q31_params; at most 4095 classes. multiplier, shift: of `most` steps
 * below the largest and fewer into Q5.26, above -16; what lies farther has the least answer. Output
 * scale 1/16, zero point 127. */
typedef struct {
    const int32_t *exp_q31;
    int32_t rows;
    int32_t classes;
    int32_t multiplier;
    int32_t shift;
    int32_t most;
} edgeq_log_softmax_params;

/* y may be x. */
void edgeq_log_softmax_s8(const edgeq_log_softmax_params *p, const int8_t *x, int8_t *y);

/* At most 33,025 features. Output scale 1/128, zero point 0. */
typedef struct {
    int32_t rows;
    int32_t features;
    int32_t input_zero_point;
} edgeq_l2_normalize_params;

/* y may be x. */
void edgeq_l2_normalize_s8(const edgeq_l2_normalize_params *p, const int8_t *x, int8_t *y);

/* The place of the largest of `places` values, at most 256; of equal ones the last if `last` is 1.
 * Output scale 1, zero point -128. */
typedef struct {
    int32_t rows;
    int32_t places;
    int32_t last;
} edgeq_arg_max_params;

/* They may not overlap. */
void edgeq_arg_max_s8(const edgeq_arg_max_params *p, const int8_t *x, int8_t *y);

/* Largest softmax probability of `classes` logits, Q15 (32768 is certainty). */
int32_t edgeq_confidence_s8(const uint16_t *exp_table, const int8_t *logits, int32_t classes);

typedef enum {
    EDGEQ_RULE_OFF,
    EDGEQ_RULE_PRECISION_PRIOR,
    EDGEQ_RULE_ESCALATION,
} edgeq_rule;

/* One layer of the router (s8 weights). `dropped` shares weight, sizes and zero points with
 * `plain` and carries the dropout factor in bias, multiplier and shift; layer 0 and a plain router
 * do not read it. mask: keep bits of the layer's inputs, (inputs + 7) / 8 bytes a pass, input i in
 * bit i & 7 of byte i >> 3. */
typedef struct {
    edgeq_fully_connected_params plain;
    edgeq_fully_connected_params dropped;
    const uint8_t *mask;
} edgeq_router_layer;

/* experts = outputs of the last layer. passes = 0: a plain router, whose uncertainty is zero. */
typedef struct {
    const edgeq_router_layer *layers;
    const uint16_t *exp_table; /* of the logits; may be null when passes = 0 and gates are unused */
    const int64_t *prior;      /* (experts), EDGEQ_RULE_PRECISION_PRIOR */
    int64_t u_min;             /* EDGEQ_RULE_PRECISION_PRIOR */
    int64_t u_max;
    int64_t threshold;          /* EDGEQ_RULE_ESCALATION */
    int64_t uncertainty_factor; /* 2^34 / (passes * (passes - 1)), rounded */
    int32_t precise;            /* EDGEQ_RULE_ESCALATION: the expert to escalate to */
    int32_t layer_count;
    int32_t passes;
    int32_t top_k;
    edgeq_rule rule;
} edgeq_router_params;

/* The caller points chosen (top_k), logits (experts) and gate_q15 (experts, or null when the model
 * does not weigh its experts) at memory of its own. */
typedef struct {
    int32_t *chosen;   /* experts in order of their scores, the route first */
    int8_t *logits;    /* of the pass without dropout */
    int32_t *gate_q15; /* softmax of the logits */
    int64_t numerator; /* U = sum_e (M sum_m p^2 - (sum_m p)^2), p in Q15 */
    int32_t uncertainty_q24;
} edgeq_routing;

/* scratch: aligned to 8 bytes; 12 * experts + outputs of layer 0 + 2 * the most outputs of any
 * layer, in bytes. */
void edgeq_router_s8(const edgeq_router_params *p, const int8_t *x, edgeq_routing *out,
                     void *scratch);

/* Weighted sum of expert outputs. Per inference: start, accumulate once for each chosen expert with
 * its gate_q15, then edgeq_gate_s8. accumulator: `size` entries. */
typedef struct {
    int32_t size;
    int32_t expert_zero_point;
    int32_t output_zero_point;
    int32_t multiplier; /* of scale_expert / (2^15 * scale_out) */
    int32_t shift;
} edgeq_gate_params;

void edgeq_gate_start_s8(const edgeq_gate_params *p, int32_t *accumulator);
void edgeq_gate_accumulate_s8(const edgeq_gate_params *p, int32_t gate_q15, const int8_t *expert,
                              int32_t *accumulator);
void edgeq_gate_s8(const edgeq_gate_params *p, const int32_t *accumulator, int8_t *y);

/* What a cascade decides by, from the logits of the expert that ran: 2 classes at least. */
typedef struct {
    const uint16_t *exp_table; /* of the logits; null where no softmax is taken */
    int64_t factor;            /* spread: 2^34 / (heads * (heads - 1)), rounded */
    int32_t classes;           /* at most 65,536 */
    int32_t heads;             /* spread and ensemble: 2 to 16 */
    int32_t multiplier;        /* entropy: of twice the logits' scale */
    int32_t shift;
} edgeq_signal_params;

/* Largest less second largest logit, 0..255; 0 where two share the maximum. Entropy of their
 * softmax, nats in Q16. Of heads' logits, a head after the other: the variance of probabilities,
 * summed over classes, in Q24; largest less second largest sum over the heads. */
int32_t edgeq_gap_s8(const edgeq_signal_params *p, const int8_t *logits);
int32_t edgeq_entropy_s8(const edgeq_signal_params *p, const int8_t *logits);
int32_t edgeq_spread_s8(const edgeq_signal_params *p, const int8_t *logits);
int32_t edgeq_ensemble_s8(const edgeq_signal_params *p, const int8_t *logits);

#endif
