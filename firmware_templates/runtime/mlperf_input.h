#ifndef EDGEQ_MLPERF_INPUT_H
#define EDGEQ_MLPERF_INPUT_H

#include <stdint.h>

#include "model/model.h"

/*
 * The bytes of `db`, as the data files of the benchmark hold them. model.h says which:
 *   EDGEQ_MLPERF_PIXELS  uint8, 128 above the model's int8 (ic01, vww01)
 *   EDGEQ_MLPERF_FLOATS  little-endian float32, quantised here (ad01)
 *   neither              the model's int8 (kws01, and exports without --mlperf)
 */
#ifdef EDGEQ_MLPERF_FLOATS
#define MLPERF_INPUT_BYTES (4u * (uint32_t)EDGEQ_INPUT_BYTES)
#else
#define MLPERF_INPUT_BYTES ((uint32_t)EDGEQ_INPUT_BYTES)
#endif

/* `at` is below MLPERF_INPUT_BYTES. */
void mlperf_input_store(uint32_t at, uint8_t byte);
uint8_t mlperf_input_byte(uint32_t at);

#ifdef EDGEQ_MLPERF_FLOATS
/* Mean squared error of the output against the floats, in millionths: what ad01 reports. */
uint64_t mlperf_error_micro(void);
#endif

#endif
