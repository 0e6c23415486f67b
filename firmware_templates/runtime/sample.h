#ifndef EDGEQ_SAMPLE_H
#define EDGEQ_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "little_endian.h"
#include "model/model.h"

/* A model with one int8 input and one int8 output tells no more of them than their sizes. */
#ifndef EDGEQ_OUTPUT_BYTES
#define EDGEQ_OUTPUT_BYTES EDGEQ_OUTPUT_COUNT
#endif
#ifndef EDGEQ_PORT_ALIGNMENT
#define EDGEQ_PORT_ALIGNMENT 1
#endif
#ifndef EDGEQ_STATE_BYTES
#define EDGEQ_STATE_BYTES 0
#endif

/* Layout of the result region; numbers little-endian. Outputs follow the header. */
#define RESULT_ID           0u
#define RESULT_STATUS       4u  /* int32: 0 ok, else what edgeq_infer returned */
#define RESULT_ROUTE        8u  /* int32: expert, -1 without a mixture */
#define RESULT_UNCERTAINTY  12u /* uint32, Q8.24 */
#define RESULT_CONFIDENCE   16u /* uint32, Q15: 0..32768 */
#define RESULT_CYCLES       20u /* uint64 */
#define RESULT_STACK        28u /* uint32: bytes of stack ever used, 0 = unknown */
#define RESULT_INPUT_CRC    32u /* uint32: CRC-32 of the input it belongs to */
#define RESULT_CRC          36u /* uint32: CRC-32 of the 36 bytes before, outputs, layer cycles */
#define RESULT_HEADER_BYTES 40u
#define RESULT_BYTES        (RESULT_HEADER_BYTES + (uint32_t)EDGEQ_OUTPUT_BYTES)
#define LAYERS_BYTES        (4u * (uint32_t)EDGEQ_LAYER_COUNT)

/* status of a result region that no inference has filled yet */
#define RESULT_NONE INT32_MIN

extern uint8_t sample_input[EDGEQ_INPUT_BYTES];
extern uint8_t sample_result[RESULT_BYTES];
extern uint8_t sample_layers[LAYERS_BYTES];
extern int8_t sample_output[EDGEQ_OUTPUT_BYTES];

void sample_init(void);

/* Number i of the first output port, as a code. */
static inline int32_t sample_code(uint32_t i) {
#ifdef EDGEQ_OUTPUT_INT16
    return (int16_t)get_u16((const uint8_t *)sample_output + 2u * i);
#else
    return sample_output[i];
#endif
}

/* The model's state as after a start, known to the host from now on. Forgets the result region. */
void sample_reset(void);

/* Whether the host knows the state that the next inference begins with; a model may have none. */
bool sample_ready(void);

/* The state as after a start, for inferences that no host counts. */
void sample_restart(void);

/* One inference on sample_input; returns what edgeq_infer returned. Forgets the result region. */
int sample_infer(void);

/*
 * Runs sample_input under the name (id, crc) and fills the result and layer regions. The same
 * name again keeps the result: a repeated request costs nothing. False: the input's CRC differs.
 */
bool sample_run(uint32_t id, uint32_t crc);

#endif
