#include "mlperf_input.h"

#include "divide.h"
#include "little_endian.h"
#include "sample.h"
#include "scale.h"

#ifdef EDGEQ_MLPERF_FLOATS

#if EDGEQ_OUTPUT_COUNT != EDGEQ_INPUT_BYTES
#error "the error of an autoencoder wants as many outputs as inputs"
#endif

#define BILLION      1000000000u
#define ERROR_SHIFT  14 /* errors are summed in units of 2^14 billionths, squared */
#define MOST_ERROR   ((int64_t)1 << 26)
#define MOST_SQUARED ((uint64_t)1 << 47)

static uint8_t floats[MLPERF_INPUT_BYTES];

/* A float32 as mantissa * 2^exponent; what is not finite is very large. No FPU is needed. */
typedef struct {
    int64_t mantissa;
    int32_t exponent;
} number;

static number number_of(uint32_t bits) {
    uint32_t exponent = (bits >> 23) & 255u;
    uint32_t fraction = bits & 0x7FFFFFu;
    int64_t mantissa = (int64_t)(exponent != 0u ? fraction | 0x800000u : fraction);
    number result = {(bits >> 31) != 0u ? -mantissa : mantissa,
                     (int32_t)(exponent != 0u ? exponent : 1u) - 150};
    return result;
}

/* The largest q whose lower edge, (q - zero point - 1/2) * scale, is not above the value. */
static int8_t quantize(number value) {
    int32_t low = -128;
    int32_t high = 127;
    while (low < high) {
        int32_t middle = low + (high - low + 1) / 2;
        int64_t halves = 2 * (middle - (int32_t)(EDGEQ_INPUT_ZERO_POINT)) - 1;
        if (scale_at_most(halves * (int64_t)EDGEQ_INPUT_SCALE_MANTISSA, EDGEQ_INPUT_SCALE_EXPONENT,
                          value.mantissa, value.exponent + 1)) {
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
        sample_input[at / 4u] = (uint8_t)quantize(number_of(get_u32(floats + at - 3u)));
    }
}

uint8_t mlperf_input_byte(uint32_t at) {
    return floats[at];
}

static int64_t nano(int64_t mantissa, int32_t exponent) {
    uint64_t size = (uint64_t)(mantissa < 0 ? -mantissa : mantissa);
    int64_t value = scale_in_units(size, exponent, BILLION);
    return mantissa < 0 ? -value : value;
}

static uint64_t squared_error(uint32_t i) {
    int64_t steps = (int64_t)sample_output[i] - (int64_t)(EDGEQ_OUTPUT_ZERO_POINT);
    number wanted = number_of(get_u32(floats + 4u * i));
    int64_t error =
        nano(steps * (int64_t)EDGEQ_OUTPUT_SCALE_MANTISSA, EDGEQ_OUTPUT_SCALE_EXPONENT) -
        nano(wanted.mantissa, wanted.exponent);
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
