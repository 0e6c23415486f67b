#ifndef STUB_MODEL_H
#define STUB_MODEL_H
#include <stdint.h>
/* A stand-in for a generated model: every field of a result depends on the whole input. */
#ifndef EDGEQ_INPUT_BYTES
#define EDGEQ_INPUT_BYTES 300
#endif
#ifndef EDGEQ_OUTPUT_COUNT
#define EDGEQ_OUTPUT_COUNT 40
#endif
#define EDGEQ_LAYER_COUNT       20
#define EDGEQ_MODEL_DIGEST      "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define EDGEQ_MODEL_NAME        "stub"
#define EDGEQ_OUTPUT_ZERO_POINT (-10)
#ifndef EDGEQ_OUTPUT_SCALE_MANTISSA
#define EDGEQ_OUTPUT_SCALE_MANTISSA 8388608u
#define EDGEQ_OUTPUT_SCALE_EXPONENT (-31)
#endif
#define EDGEQ_MLPERF_ID        "ic01"
#define EDGEQ_INPUT_ZERO_POINT (5)
#ifndef EDGEQ_INPUT_SCALE_MANTISSA
#define EDGEQ_INPUT_SCALE_MANTISSA 8388608u
#define EDGEQ_INPUT_SCALE_EXPONENT (-25)
#endif
void edgeq_init(void);
#ifdef EDGEQ_STATE_BYTES
void edgeq_reset(void);
#endif
int edgeq_infer(const int8_t *input, int8_t *output);
int32_t edgeq_route(void);
uint32_t edgeq_uncertainty(void);
uint32_t edgeq_confidence(void);
extern uint32_t edgeq_layer_cycles[EDGEQ_LAYER_COUNT];
#endif
