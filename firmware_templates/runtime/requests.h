#ifndef EDGEQ_REQUESTS_H
#define EDGEQ_REQUESTS_H

#include "board_config.h"
#include "frame.h"

#define PROTOCOL_VERSION 2u

/*
 * Requests a host may have in flight. One: a polled UART without a FIFO loses what arrives while an
 * answer goes out. A board whose port buffers its input may define more.
 */
#ifndef EDGEQ_RX_WINDOW_FRAMES
#define EDGEQ_RX_WINDOW_FRAMES 1
#endif

/* An answer has its request's type with the top bit set, and its seq. */
#define REQUEST_PING  0x01u /* any bytes -> the same bytes */
#define REQUEST_WRITE 0x02u /* region, offset u32, bytes -> region, offset */
#define REQUEST_READ  0x03u /* region, offset u32, count -> region, offset, bytes */
#define REQUEST_RUN   0x04u /* id u32, input CRC u32 -> as READ of the result region at 0 */
#define REQUEST_RESET 0x05u /* nothing -> nothing; the model's state is as after a start */
#define REQUEST_BAUD  0x06u /* baud u32 -> the same, at the old rate; the line then has that one */
#define ANSWER_BIT    0x80u
#define ANSWER_NAK    0xFFu /* reason, type of the request */

#define REGION_INFO   0u
#define REGION_INPUT  1u
#define REGION_RESULT 2u
#define REGION_LAYERS 3u
#define REGION_COUNT  4u

#define NAK_TYPE      1u /* no such request */
#define NAK_LENGTH    2u /* the payload is too short or too long for its type */
#define NAK_REGION    3u /* no such region */
#define NAK_RANGE     4u /* offset and count leave the region */
#define NAK_READ_ONLY 5u
#define NAK_INPUT_CRC 6u /* RUN: the input buffer is not what the host sent */
#define NAK_BAUD      8u /* BAUD: the board's UART does not make that rate */
#define NAK_STATE 7u /* RUN: the model has a state, and no RESET came since a start or `infer` */

void requests_init(void);
void requests_answer(const struct frame *request);

#endif
