/* Each kernel on operands that a test writes into memory; test_constant_time.py traces the calls.
 */
#include "edgeq_kernels.h"
#include "edgeq_kernels_dsp.h"

enum { WIDTH = 24, EXPERTS = 5, PASSES = 4 };

int8_t x[4096];
int8_t y[4096];
int64_t scratch[1024];
uint32_t weight[1024];
int32_t bias[64];
int32_t multiplier[64];
int8_t shift[64];
int16_t gamma_q[64];
uint16_t exp_table[257];
int32_t exp_q31[256];
static const uint32_t reciprocals[4] = {1u << 29, 357913942u, 357913942u, 238609295u};
uint8_t mask[64];
int64_t prior[EXPERTS];
int32_t chosen[2];
int32_t gates[EXPERTS];

#define FULLY_CONNECTED(inputs, outputs)                                                           \
    {weight, bias, multiplier, shift, inputs, outputs, 3, -5, -128, 127}

static const edgeq_window padded = {6, 5, 11, 3, 5, 3, 3, 2, 1, 1, 1};
static const edgeq_window whole = {6, 5, 11, 3, 2, 2, 2, 2, 2, 0, 0};
static const edgeq_fully_connected_params dense = FULLY_CONNECTED(WIDTH + 3, 7);
static const edgeq_conv_2d_params conv = {
    weight, bias, multiplier, shift, {6, 5, 11, 3, 5, 3, 3, 2, 1, 1, 1}, 4, 3, -5, -128, 127};
static const edgeq_conv_2d_params depthwise = {
    weight, bias, multiplier, shift, {6, 5, 11, 3, 5, 3, 3, 2, 1, 1, 1}, 11, 3, -5, -128, 127};
static const edgeq_mean_pool_2d_params mean = {
    reciprocals, {6, 5, 11, 3, 5, 3, 3, 2, 1, 1, 1}, 2, 2, 2, -128, 127};

#define SUM                                                                                        \
    {{1, 2, 3, 5}, {0, 15, 5, 1}, {0, 0, 0, 1}, {3, -7, 5}, {1 << 30, 1700000000, 1 << 30},        \
     {0, -1, -18}, {1, -1},       -128,         127}
#define PRODUCT {{1, 2, 3, 5}, {0, 15, 5, 1}, {0, 0, 0, 1}, {3, -7, 5}, 1 << 30, -7, -128, 127}

#define SQUARE                                                                                     \
    {{1, 2, 3, 5}, {0, 15, 5, 1}, {0, 0, 0, 1}, {3, -7, 5}, {1 << 30, 1700000000, 1 << 30},        \
     {0, -1, -9},  {1, -1},       -128,         127}

static const edgeq_sum_params sum = SUM;
static const edgeq_sum_params square = SQUARE;
static const edgeq_sum_constant_params square_constant = {(const int8_t *)bias, SQUARE};
static const edgeq_sum_constant_params sum_constant = {(const int8_t *)bias, SUM};
static const edgeq_multiply_params product = PRODUCT;
static const edgeq_multiply_constant_params scaled = {(const int8_t *)bias, PRODUCT};
static const edgeq_copy_params moved = {
    {1, 1, 2, 3, 4, 5}, {0, 0, 60, 5, 15, 1}, {0, 0, 60, 20, 5, 1}, 0, 0, 120, 7};
static const edgeq_extreme_params extreme = {{1, 2, 3, 5}, {0, 15, 5, 1}, {0, 0, 0, 1}, -1};

#define RUN_DENSE(token)                                                                           \
    void run_fully_connected_s8_##token(void) {                                                    \
        edgeq_fully_connected_s8_##token(&dense, x, y);                                            \
    }
#define RUN_CONV(token)                                                                            \
    void run_conv_2d_s8_##token(void) {                                                            \
        edgeq_conv_2d_s8_##token(&conv, x, y, (int8_t *)scratch);                                  \
    }
RUN_DENSE(s16)
RUN_DENSE(s8)
RUN_DENSE(s4)
RUN_DENSE(s3)
RUN_DENSE(s2)
RUN_DENSE(t2)
RUN_DENSE(b1)
RUN_CONV(s8)
RUN_CONV(s4)
RUN_CONV(s3)
RUN_CONV(s2)
RUN_CONV(t2)
RUN_CONV(b1)

#define RUN_BLOCK(token)                                                                           \
    void run_block_fully_connected_s8_##token(void) {                                              \
        static const uint8_t scale[14] = {255, 1, 3, 200, 7, 90, 128, 2, 17, 64, 255, 5, 31, 99};  \
        const edgeq_block_fully_connected_params p = {FULLY_CONNECTED(32 + WIDTH, 7), scale, 32,   \
                                                      2};                                          \
        edgeq_block_fully_connected_s8_##token(&p, x, y);                                          \
    }
RUN_BLOCK(s4)
RUN_BLOCK(t2)

void run_fully_connected_s8_t5(void) {
    edgeq_fully_connected_s8_t5(&dense, x, y, scratch);
}

void run_depthwise_conv_2d_s8_s8(void) {
    edgeq_depthwise_conv_2d_s8_s8(&depthwise, x, y);
}

void run_depthwise_conv_2d_s8_s4(void) {
    edgeq_depthwise_conv_2d_s8_s4(&depthwise, x, y);
}

void run_average_pool_2d_s8(void) {
    edgeq_average_pool_2d_params p = {whole, 3, -5, 1 << 30, -1};
    edgeq_average_pool_2d_s8(&p, x, y);
}

void run_mean_pool_2d_s8(void) {
    edgeq_mean_pool_2d_s8(&mean, x, y);
}

void run_max_pool_2d_s8(void) {
    edgeq_max_pool_2d_s8(&padded, x, y);
}

void run_conv_2d_band(void) {
    edgeq_conv_2d_params band;
    (void)edgeq_conv_2d_band(&conv, 1, 1, &band);
    y[0] = (int8_t)band.window.input_height;
}

void run_conv_2d_staged(void) {
    static uint32_t copied[11];
    edgeq_conv_2d_params staged;
    edgeq_conv_2d_staged(&conv, 11, copied, &staged);
    y[0] = (int8_t)staged.window.input_height;
}

void run_conv_2d_part(void) {
    static const edgeq_conv_2d_parts parts = {11, 4, 396, {2, 2, 1}, {3, 3, 2}};
    edgeq_conv_2d_params part;
    edgeq_conv_2d_part(&conv, &parts, 0, 1, 2, x, (int8_t *)scratch, &part);
    edgeq_conv_2d_put_part(&conv, &parts, 0, 1, 2, x, y);
    y[0] = (int8_t)part.window.input_height;
}

void run_add_s8(void) {
    edgeq_add_params p = {40, {3, -7, 5}, {1 << 30, 1700000000, 1 << 30}, {0, -1, -18}, -128, 127};
    edgeq_add_s8(&p, x, x + 64, y);
}

void run_sum_s8(void) {
    edgeq_sum_s8(&sum, x, x + 64, y);
}

void run_sum_constant_s8(void) {
    edgeq_sum_constant_s8(&sum_constant, x, y);
}

void run_squared_difference_s8(void) {
    edgeq_squared_difference_s8(&square, x, x + 64, y);
}

void run_squared_difference_constant_s8(void) {
    edgeq_squared_difference_constant_s8(&square_constant, x, y);
}

void run_multiply_s8(void) {
    edgeq_multiply_s8(&product, x, x + 64, y);
}

void run_multiply_constant_s8(void) {
    edgeq_multiply_constant_s8(&scaled, x, y);
}

void run_extreme_s8(void) {
    edgeq_extreme_s8(&extreme, x, x + 64, y);
}

void run_concat_s8(void) {
    static const int32_t block[2] = {3, 5};
    const int8_t *both[2] = {x, x + 64};
    edgeq_concat_params p = {block, 2, 4, 8};
    edgeq_concat_s8(&p, both, y);
}

void run_copy_s8(void) {
    edgeq_copy_s8(&moved, x, y);
}

void run_batch_matmul_s8(void) {
    edgeq_batch_matmul_params p = {2, 3, 5, 4, 15, 20, 4, 1, {3, -7, 5}, 1 << 30, -7};
    edgeq_batch_matmul_s8(&p, x, x + 64, y);
}

void run_prelu_s8(void) {
    edgeq_prelu_params p = {multiplier, shift, 3, 7, {1 << 30, -1}, -7, 3};
    edgeq_prelu_s8(&p, x, y);
}

void run_log_softmax_s8(void) {
    edgeq_log_softmax_params p = {exp_q31, 3, 9, 1 << 30, 20, 99};
    edgeq_log_softmax_s8(&p, x, y);
}

void run_l2_normalize_s8(void) {
    edgeq_l2_normalize_params p = {3, 9, -5};
    edgeq_l2_normalize_s8(&p, x, y);
}

void run_arg_max_s8(void) {
    edgeq_arg_max_params p = {3, 9, 1};
    edgeq_arg_max_s8(&p, x, y);
}

void run_gather_s8(void) {
    static const uint16_t places[4] = {5, 0, 2, 2};
    edgeq_gather_params p = {places, 3, 6, 4, 5};
    edgeq_gather_s8(&p, x, y);
}

void run_embedding_s16(void) {
    edgeq_embedding_params p = {(const int8_t *)bias, 6, 3, 5};
    edgeq_embedding_s16(&p, (const int16_t *)(const void *)x, y);
}

void run_resize_linear_s8(void) {
    static const int32_t down[3] = {0, 700, 2048}, across[2] = {512, 3072};
    edgeq_resize_linear_params p = {down, across, 4, 5, 3, 2};
    edgeq_resize_linear_s8(&p, x, y);
}

void run_relu_s8(void) {
    edgeq_relu_params p = {40, -20, 60};
    edgeq_relu_s8(&p, x, y);
}

void run_narrow_s16(void) {
    edgeq_narrow_params p = {30, 1 << 30, -7, 3};
    edgeq_narrow_s16(&p, (const int16_t *)(const void *)x, y);
}

#define LSTM                                                                                       \
    {(const int8_t *)weight,                                                                       \
     (const int8_t *)weight,                                                                       \
     bias,                                                                                         \
     exp_table,                                                                                    \
     {1 << 30, 1 << 30, 1 << 30, 1 << 30},                                                         \
     {-3, -3, -3, -3},                                                                             \
     {1 << 30, 1 << 30, 1 << 30, 1 << 30},                                                         \
     {-3, -3, -3, -3},                                                                             \
     {1 << 30, 1 << 30, 1 << 30},                                                                  \
     {-14, -17, -22},                                                                              \
     3,                                                                                            \
     7,                                                                                            \
     5,                                                                                            \
     -12,                                                                                          \
     30000,                                                                                        \
     3,                                                                                            \
     -5}
#define GRU                                                                                        \
    {(const int8_t *)weight,                                                                       \
     (const int8_t *)weight,                                                                       \
     bias,                                                                                         \
     bias,                                                                                         \
     exp_table,                                                                                    \
     {1 << 30, 1 << 30, 1 << 30},                                                                  \
     {-3, -3, -3},                                                                                 \
     {1 << 30, 1 << 30, 1 << 30},                                                                  \
     {-3, -3, -3},                                                                                 \
     1 << 30,                                                                                      \
     -7,                                                                                           \
     3,                                                                                            \
     7,                                                                                            \
     5,                                                                                            \
     3,                                                                                            \
     -5}
#define SVDF {(const int8_t *)weight, 3, 7, 6, 1 << 30, -3, 5}

void run_lstm_s8(void) {
    static const edgeq_lstm_params p = LSTM;
    edgeq_lstm_s8(&p, x, y, scratch);
}

void run_lstm_s8_dsp(void) {
    static const edgeq_lstm_params p = LSTM;
    edgeq_lstm_s8_dsp(&p, x, y, scratch);
}

void run_lstm_step_s8(void) {
    static const edgeq_lstm_step_params p = {LSTM, 1};
    edgeq_lstm_step_s8(&p, x, y, scratch, scratch + 512);
}

void run_lstm_step_s8_dsp(void) {
    static const edgeq_lstm_step_params p = {LSTM, 1};
    edgeq_lstm_step_s8_dsp(&p, x, y, scratch, scratch + 512);
}

void run_gru_s8(void) {
    static const edgeq_gru_params p = GRU;
    edgeq_gru_s8(&p, x, y, scratch);
}

void run_gru_s8_dsp(void) {
    static const edgeq_gru_params p = GRU;
    edgeq_gru_s8_dsp(&p, x, y, scratch);
}

void run_gru_step_s8(void) {
    static const edgeq_gru_step_params p = {GRU, 1};
    edgeq_gru_step_s8(&p, x, y, scratch, scratch + 512);
}

void run_gru_step_s8_dsp(void) {
    static const edgeq_gru_step_params p = {GRU, 1};
    edgeq_gru_step_s8_dsp(&p, x, y, scratch, scratch + 512);
}

void run_mgu_s8(void) {
    static const edgeq_gru_params p = GRU;
    edgeq_mgu_s8(&p, x, y, scratch);
}

void run_mgu_s8_dsp(void) {
    static const edgeq_gru_params p = GRU;
    edgeq_mgu_s8_dsp(&p, x, y, scratch);
}

void run_mgu_step_s8(void) {
    static const edgeq_gru_step_params p = {GRU, 1};
    edgeq_mgu_step_s8(&p, x, y, scratch, scratch + 512);
}

void run_mgu_step_s8_dsp(void) {
    static const edgeq_gru_step_params p = {GRU, 1};
    edgeq_mgu_step_s8_dsp(&p, x, y, scratch, scratch + 512);
}

void run_svdf_feature_s8(void) {
    static const edgeq_svdf_feature_params p = SVDF;
    edgeq_svdf_feature_s8(&p, x, (int16_t *)(void *)y);
}

void run_svdf_feature_s8_dsp(void) {
    static const edgeq_svdf_feature_params p = SVDF;
    edgeq_svdf_feature_s8_dsp(&p, x, (int16_t *)(void *)y);
}

static const uint16_t two_bands[4] = {2, 9, 11, 50};
#define LOG_MEL                                                                                    \
    {(const int32_t *)weight,                                                                      \
     (const int32_t *)weight,                                                                      \
     two_bands,                                                                                    \
     mask,                                                                                         \
     exp_table,                                                                                    \
     5000,                                                                                         \
     200,                                                                                          \
     100,                                                                                          \
     256,                                                                                          \
     2,                                                                                            \
     2,                                                                                            \
     31000,                                                                                        \
     40000,                                                                                        \
     1 << 30,                                                                                      \
     -9,                                                                                           \
     3}
#define PCEN {LOG_MEL, exp_table, 1LL << 31, 1518500250, 1638, 1052266988, 1 << 29, 65536, 3}

void run_log_mel_s16(void) {
    static const edgeq_log_mel_params p = LOG_MEL;
    edgeq_log_mel_s16(&p, (const int16_t *)x, y, scratch);
}

void run_mfcc_s16(void) {
    static const edgeq_mfcc_params p = {LOG_MEL, gamma_q, 2};
    edgeq_mfcc_s16(&p, (const int16_t *)x, y, scratch);
}

void run_pcen_s16(void) {
    static const edgeq_pcen_params p = PCEN;
    edgeq_pcen_s16(&p, (const int16_t *)x, y, scratch);
}

void run_pcen_step_s16(void) {
    static const edgeq_pcen_step_params p = {PCEN, 1};
    edgeq_pcen_step_s16(&p, (const int16_t *)x, y, scratch, scratch + 64);
}

/* Radix 4 alone, a window as long as its transform. */
void run_log_mel_s16_of_512(void) {
    static const uint16_t bands[2] = {200, 57};
    static const edgeq_log_mel_params p = {(const int32_t *)weight,
                                           (const int32_t *)weight,
                                           bands,
                                           mask,
                                           exp_table,
                                           1,
                                           512,
                                           512,
                                           512,
                                           1,
                                           1,
                                           0,
                                           -40000,
                                           1 << 30,
                                           -12,
                                           0};
    edgeq_log_mel_s16(&p, (const int16_t *)x, y, scratch);
}

void run_conv_2d_s16_s8(void) {
    static const edgeq_wide_conv_2d_params p = {(const int8_t *)weight,
                                                prior,
                                                multiplier,
                                                shift,
                                                {6, 5, 6, 3, 5, 3, 3, 2, 1, 1, 1},
                                                1,
                                                1,
                                                2,
                                                3,
                                                2,
                                                0,
                                                -32768,
                                                32767};
    edgeq_conv_2d_s16_s8(&p, (const int16_t *)(const void *)x, (int16_t *)(void *)y);
}

void run_max_pool_2d_s16(void) {
    edgeq_max_pool_2d_s16(&padded, (const int16_t *)(const void *)x, (int16_t *)(void *)y);
}

void run_mean_pool_2d_s16(void) {
    edgeq_mean_pool_2d_s16(&mean, (const int16_t *)(const void *)x, (int16_t *)(void *)y);
}

void run_add_s16(void) {
    static const edgeq_wide_add_params p = {
        90, {1 << 30, 1700000000, 1 << 30}, {0, -1, -13}, -32768, 32767};
    const int16_t *in = (const int16_t *)(const void *)x;
    edgeq_add_s16(&p, in, in + 90, (int16_t *)(void *)y);
}

void run_widen_s8(void) {
    static const edgeq_widen_params p = {90, 1700000000, 6, -7};
    edgeq_widen_s8(&p, x, (int16_t *)(void *)y);
}

void run_svdf_time_s16(void) {
    static const edgeq_svdf_time_params p = {
        (const int16_t *)weight, bias, 4, 2, 3, 6, 2, 1 << 30, -9, 4, -100, 100};
    edgeq_svdf_time_s16(&p, (const int16_t *)(const void *)x, y);
}

void run_history_s8(void) {
    edgeq_history_params p = {32, 8, 12, 20, 12};
    edgeq_history_s8(&p, x, y, scratch);
}

void run_delay_s8(void) {
    edgeq_delay_params p = {37};
    edgeq_delay_s8(&p, x, y, scratch);
}

void run_lookup_s8(void) {
    edgeq_lookup_params p = {(const int8_t *)bias, 37};
    edgeq_lookup_s8(&p, x, y);
}

void run_layer_norm_s8(void) {
    edgeq_layer_norm_params p = {gamma_q, bias, 3, 2, 30, 20, 4, -100, 100};
    edgeq_layer_norm_s8(&p, x, y);
}

void run_group_norm_s8(void) {
    edgeq_group_norm_params p = {gamma_q, bias, 3, 2, 5, 3, 4, 1, -7, 20, 4, -100, 100};
    edgeq_group_norm_s8(&p, x, y);
}

void run_softmax_q31_s8(void) {
    edgeq_softmax_q31_params p = {exp_q31, 3, 9};
    edgeq_softmax_q31_s8(&p, x, y);
}

void run_softmax_s8(void) {
    edgeq_softmax_params p = {exp_table, 3, 9};
    edgeq_softmax_s8(&p, x, y);
}

void run_confidence_s8(void) {
    chosen[0] = edgeq_confidence_s8(exp_table, x, 9);
}

void run_gate_s8(void) {
    edgeq_gate_params p = {30, 4, -9, 1 << 30, -14};
    int32_t *accumulator = (int32_t *)scratch;
    edgeq_gate_start_s8(&p, accumulator);
    edgeq_gate_accumulate_s8(&p, 20000, x, accumulator);
    edgeq_gate_s8(&p, accumulator, y);
}

void run_gap_s8(void) {
    edgeq_signal_params p = {0, 0, 9, 0, 0, 0};
    chosen[0] = edgeq_gap_s8(&p, x);
}

void run_entropy_s8(void) {
    edgeq_signal_params p = {exp_table, 0, 9, 0, 1 << 30, -3};
    chosen[0] = edgeq_entropy_s8(&p, x);
}

void run_spread_s8(void) {
    edgeq_signal_params p = {exp_table, (1LL << 34) / 6, 9, 3, 0, 0};
    chosen[0] = edgeq_spread_s8(&p, x);
}

void run_ensemble_s8(void) {
    edgeq_signal_params p = {0, 0, 9, 3, 0, 0};
    chosen[0] = edgeq_ensemble_s8(&p, x);
}

static void route(edgeq_rule rule) {
    static const edgeq_router_layer layers[3] = {
        {FULLY_CONNECTED(WIDTH, 13), FULLY_CONNECTED(WIDTH, 13), mask},
        {FULLY_CONNECTED(13, 9), FULLY_CONNECTED(13, 9), mask},
        {FULLY_CONNECTED(9, EXPERTS), FULLY_CONNECTED(9, EXPERTS), mask},
    };
    edgeq_router_params p = {
        layers,           exp_table, prior, 1 << 20, 1 << 30, 1 << 24,
        (1LL << 34) / 12, 2,         3,     PASSES,  2,       rule,
    };
    edgeq_routing out = {chosen, y, gates, 0, 0};
    edgeq_router_s8(&p, x, &out, scratch);
}

void run_router_s8(void) {
    route(EDGEQ_RULE_PRECISION_PRIOR);
}

void run_router_s8_escalation(void) {
    route(EDGEQ_RULE_ESCALATION);
}
