#include "requests.h"

#include "firmware_id.h"
#include "line_rate.h"
#include "little_endian.h"
#include "port/hal.h"
#include "sample.h"
#include "serial.h"

#define PLACE_BYTES 5u /* region, offset u32 */
#define DATA_BYTES  (FRAME_PAYLOAD_BYTES - PLACE_BYTES)

/* Inputs, outputs; of each its bits, values u32 and name (length u8, characters). */
#ifndef EDGEQ_PORTS
#define U32(x)                                                                                     \
    (uint8_t)((x) & 0xFFu), (uint8_t)(((x) >> 8) & 0xFFu), (uint8_t)(((x) >> 16) & 0xFFu),         \
        (uint8_t)((uint32_t)(x) >> 24)
#define INPUT_PORT  8u, U32(EDGEQ_INPUT_BYTES), 5u, 'i', 'n', 'p', 'u', 't'
#define OUTPUT_PORT 8u, U32(EDGEQ_OUTPUT_COUNT), 6u, 'o', 'u', 't', 'p', 'u', 't'
#define EDGEQ_PORTS {1u, 1u, INPUT_PORT, OUTPUT_PORT}
#endif

static const uint8_t ports[] = EDGEQ_PORTS;

/* Info region: fixed numbers, four strings of (length u8, characters), then the ports. */
#define INFO_FIXED_BYTES 24u
#define INFO_BYTES                                                                                 \
    (INFO_FIXED_BYTES + sizeof(EDGEQ_MODEL_DIGEST) + sizeof(EDGEQ_FIRMWARE_DIGEST) +               \
     sizeof(EDGEQ_BOARD_NAME) + sizeof(EDGEQ_MODEL_NAME) + sizeof(ports))

static uint8_t info[INFO_BYTES];

struct region {
    uint8_t *bytes;
    uint32_t size;
    bool writable;
};

static const struct region regions[REGION_COUNT] = {
    {info, INFO_BYTES, false},
    {sample_input, EDGEQ_INPUT_BYTES, true},
    {sample_result, RESULT_BYTES, false},
    {sample_layers, LAYERS_BYTES, false},
};

static uint32_t put_string(uint32_t at, const char *text, uint32_t length) {
    info[at] = (uint8_t)length;
    for (uint32_t i = 0; i < length; i++) {
        info[at + 1u + i] = (uint8_t)text[i];
    }
    return at + 1u + length;
}

void requests_init(void) {
    uint32_t at = INFO_FIXED_BYTES;
    put_u16(info, (uint16_t)INFO_BYTES);
    info[2] = (uint8_t)PROTOCOL_VERSION;
    info[3] = (uint8_t)(EDGEQ_RX_WINDOW_FRAMES);
    put_u32(info + 4, hal_clock_hz());
    put_u32(info + 8, (uint32_t)EDGEQ_INPUT_BYTES);
    put_u32(info + 12, (uint32_t)EDGEQ_OUTPUT_BYTES);
    put_u32(info + 16, (uint32_t)EDGEQ_LAYER_COUNT);
    put_u32(info + 20, (uint32_t)EDGEQ_STATE_BYTES);
    /* The length byte takes the place that sizeof counts for the closing zero. */
    at = put_string(at, EDGEQ_MODEL_DIGEST, sizeof(EDGEQ_MODEL_DIGEST) - 1u);
    at = put_string(at, EDGEQ_FIRMWARE_DIGEST, sizeof(EDGEQ_FIRMWARE_DIGEST) - 1u);
    at = put_string(at, EDGEQ_BOARD_NAME, sizeof(EDGEQ_BOARD_NAME) - 1u);
    at = put_string(at, EDGEQ_MODEL_NAME, sizeof(EDGEQ_MODEL_NAME) - 1u);
    for (uint32_t i = 0; i < sizeof(ports); i++) {
        info[at + i] = ports[i];
    }
}

__attribute__((noinline)) static void answer(const struct frame *request, const uint8_t *payload,
                                             uint8_t length) {
    frame_send(serial_write, (uint8_t)(request->type | ANSWER_BIT), request->seq, payload, length);
}

__attribute__((noinline)) static void refuse(const struct frame *request, uint8_t reason) {
    uint8_t payload[2] = {reason, request->type};
    frame_send(serial_write, ANSWER_NAK, request->seq, payload, 2);
}

/* 0, or the reason why (region, offset, count) cannot be used. */
static uint8_t check_place(uint8_t region, uint32_t offset, uint32_t count) {
    if (region >= REGION_COUNT) {
        return NAK_REGION;
    }
    uint32_t size = regions[region].size;
    return (offset > size || count > size - offset) ? NAK_RANGE : 0u;
}

static void answer_data(const struct frame *request, uint8_t region, uint32_t offset,
                        uint32_t count) {
    uint8_t payload[FRAME_PAYLOAD_BYTES];
    payload[0] = region;
    put_u32(payload + 1, offset);
    for (uint32_t i = 0; i < count; i++) {
        payload[PLACE_BYTES + i] = regions[region].bytes[offset + i];
    }
    answer(request, payload, (uint8_t)(PLACE_BYTES + count));
}

static void answer_write(const struct frame *request) {
    if (request->length < PLACE_BYTES) {
        refuse(request, NAK_LENGTH);
        return;
    }
    uint8_t region = request->payload[0];
    uint32_t offset = get_u32(request->payload + 1);
    uint32_t count = (uint32_t)request->length - PLACE_BYTES;
    uint8_t reason = check_place(region, offset, count);
    if (reason == 0u && !regions[region].writable) {
        reason = NAK_READ_ONLY;
    }
    if (reason != 0u) {
        refuse(request, reason);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        regions[region].bytes[offset + i] = request->payload[PLACE_BYTES + i];
    }
    answer(request, request->payload, (uint8_t)PLACE_BYTES);
}

static void answer_read(const struct frame *request) {
    if (request->length != PLACE_BYTES + 1u || request->payload[PLACE_BYTES] > DATA_BYTES) {
        refuse(request, NAK_LENGTH);
        return;
    }
    uint8_t region = request->payload[0];
    uint32_t offset = get_u32(request->payload + 1);
    uint32_t count = request->payload[PLACE_BYTES];
    uint8_t reason = check_place(region, offset, count);
    if (reason != 0u) {
        refuse(request, reason);
        return;
    }
    answer_data(request, region, offset, count);
}

static void answer_run(const struct frame *request) {
    if (request->length != 8u) {
        refuse(request, NAK_LENGTH);
    } else if (!sample_ready()) {
        refuse(request, NAK_STATE);
    } else if (!sample_run(get_u32(request->payload), get_u32(request->payload + 4))) {
        refuse(request, NAK_INPUT_CRC);
    } else {
        answer_data(request, REGION_RESULT, 0,
                    RESULT_BYTES < DATA_BYTES ? RESULT_BYTES : DATA_BYTES);
    }
}

static void answer_baud(const struct frame *request) {
    if (request->length != 4u) {
        refuse(request, NAK_LENGTH);
    } else if (!line_rate_possible(get_u32(request->payload))) {
        refuse(request, NAK_BAUD);
    } else {
        answer(request, request->payload, 4);
        line_rate_set(get_u32(request->payload));
    }
}

void requests_answer(const struct frame *request) {
    switch (request->type) {
    case REQUEST_PING:
        answer(request, request->payload, request->length);
        break;
    case REQUEST_WRITE:
        answer_write(request);
        break;
    case REQUEST_READ:
        answer_read(request);
        break;
    case REQUEST_RUN:
        answer_run(request);
        break;
    case REQUEST_RESET:
        if (request->length != 0u) {
            refuse(request, NAK_LENGTH);
        } else {
            sample_reset();
            answer(request, request->payload, 0);
        }
        break;
    case REQUEST_BAUD:
        answer_baud(request);
        break;
    default:
        refuse(request, NAK_TYPE);
        break;
    }
}
