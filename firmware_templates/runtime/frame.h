#ifndef EDGEQ_FRAME_H
#define EDGEQ_FRAME_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Wire form: 7E, stuffed(type, seq (2), length, payload, CRC-32 of all before (4)), 7E.
 * The seven bytes 7E 7D 25 0D 0A 11 13 never occur inside: each is sent as 7D, byte ^ 20.
 */
#define FRAME_PAYLOAD_BYTES 64u
#define FRAME_HEADER_BYTES  4u
#define FRAME_CRC_BYTES     4u
#define FRAME_BYTES         (FRAME_HEADER_BYTES + FRAME_PAYLOAD_BYTES + FRAME_CRC_BYTES)
#define FRAME_DELIMITER     0x7Eu
#define FRAME_ESCAPE        0x7Du

struct frame {
    uint8_t type;
    uint16_t seq;
    uint8_t length;
    const uint8_t *payload; /* length bytes inside the parser, valid until the next byte */
};

struct frame_parser {
    uint8_t bytes[FRAME_BYTES];
    uint8_t count;
    bool open;    /* a delimiter was seen: bytes belong to a frame */
    bool escaped; /* the last byte was the escape */
    bool broken;  /* too long or badly escaped: drop until the next delimiter */
};

enum frame_event {
    FRAME_TAKEN, /* the byte was part of a frame, or noise */
    FRAME_TEXT,  /* the byte stands outside of frames */
    FRAME_READY, /* the byte ended a frame whose CRC is right */
};

enum frame_event frame_push(struct frame_parser *parser, uint8_t byte, struct frame *out);

/* Sends one frame. length is at most FRAME_PAYLOAD_BYTES; write_byte is called per wire byte. */
void frame_send(void (*write_byte)(uint8_t), uint8_t type, uint16_t seq, const uint8_t *payload,
                uint8_t length);

#endif
