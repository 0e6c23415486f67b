#include "mlperf_input.h"

#include "divide.h"
#include "little_endian.h"
#include "sample.h"

#ifdef EDGEQ_MLPERF_FLOATS

#if EDGEQ_OUTPUT_COUNT != EDGEQ_INPUT_BYTES
#error "the error of an autoencoder wants as many outputs as inputs"
#endif

#define MOST_NANO    ((int64_t)1 << 60)
#define ERROR_SHIFT  14 /* errors are summed in units of 2^14 billionths, squared */
#define MOST_ERROR   ((int64_t)1 << 26)
#define MOST_SQUARED ((uint64_t)1 << 47)

static uint8_t floats[MLPERF_INPUT_BYTES];

/* A float32 in billionths, within 2^60; no FPU and no library of the compiler is needed. */
static int64_t nano_of(uint32_t bits) {
    uint32_t exponent = (bits >> 23) & 255u;
    uint64_t value = (uint64_t)((bits & 0x7FFFFFu) | 0x800000u) * 1000000000u; /* below 2^54 */
    if (exponent >= 150u + 6u) {
        value = (uint64_t)MOST_NANO;
    } else if (exponent >= 150u) {
        value <<= exponent - 150u;
    } else {
        value = exponent + 63u < 150u ? 0u : value >> (150u - exponent);
    }
    return (bits >> 31) != 0u ? -(int64_t)value : (int64_t)value;
}

/* The largest q whose lower edge, (q - zero point - 1/2) * scale, is not above the value. */
static int8_t quantize(int64_t nano) {
    int32_t low = -128;
    int32_t high = 127;
    while (low < high) {
        int32_t middle = low + (high - low + 1) / 2;
        int64_t halves = 2 * (middle - (int32_t)(EDGEQ_INPUT_ZERO_POINT)) - 1;
        if (halves * (int64_t)EDGEQ_INPUT_SCALE_NANO <= 2 * nano) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return (int8_t)low;
}

void mlperf_input_store(uint32_t at, uint8_t byte) {
    floats[at] = byte;
    if (at % 4u == 3u) {
        sample_input[at / 4u] = (uint8_t)quantize(nano_of(get_u32(floats + at - 3u)));
    }
}

uint8_t mlperf_input_byte(uint32_t at) {
    return floats[at];
}

static uint64_t squared_error(uint32_t i) {
    int64_t steps = (int64_t)sample_output[i] - (int64_t)(EDGEQ_OUTPUT_ZERO_POINT);
    int64_t error = steps * (int64_t)EDGEQ_OUTPUT_SCALE_NANO - nano_of(get_u32(floats + 4u * i));
    uint64_t size = (uint64_t)(error < 0 ? -error : error) >> ERROR_SHIFT;
    size = size < (uint64_t)MOST_ERROR ? size : (uint64_t)MOST_ERROR;
    return size * size;
}

uint64_t mlperf_error_micro(void) {
    uint64_t sum = 0;
    uint32_t rest = 0;
    for (uint32_t i = 0; i < (uint32_t)EDGEQ_OUTPUT_COUNT; i++) {
        sum += squared_error(i);
    }
    uint64_t mean = divide(sum, (uint32_t)EDGEQ_OUTPUT_COUNT, &rest);
    mean = mean < MOST_SQUARED ? mean : MOST_SQUARED;
    /* (2^14 / 10^9)^2 in millionths is 2^16 / 5^12 */
    return divide(mean << 16, 244140625u, &rest);
}

#else

#ifdef EDGEQ_MLPERF_PIXELS
#define ABOVE_INT8 0x80u
#else
#define ABOVE_INT8 0u
#endif

void mlperf_input_store(uint32_t at, uint8_t byte) {
    sample_input[at] = (uint8_t)(byte ^ ABOVE_INT8);
}

uint8_t mlperf_input_byte(uint32_t at) {
    return (uint8_t)(sample_input[at] ^ ABOVE_INT8);
}

#endif
