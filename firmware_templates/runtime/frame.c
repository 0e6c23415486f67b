#include "frame.h"

#include "crc32.h"
#include "little_endian.h"

/* '%' and line ends belong to text commands, 11 and 13 to software flow control. */
static bool is_reserved(uint8_t byte) {
    return byte == 0x25u || byte == 0x0Du || byte == 0x0Au || byte == 0x11u || byte == 0x13u;
}

static void reopen(struct frame_parser *parser) {
    parser->count = 0;
    parser->open = true;
    parser->escaped = false;
    parser->broken = false;
}

static bool is_whole(const struct frame_parser *parser) {
    if (parser->broken || parser->escaped || parser->count < FRAME_HEADER_BYTES + FRAME_CRC_BYTES) {
        return false;
    }
    uint32_t body = (uint32_t)parser->count - FRAME_CRC_BYTES;
    return body == FRAME_HEADER_BYTES + parser->bytes[3] &&
           get_u32(parser->bytes + body) == crc32_update(0, parser->bytes, body);
}

static enum frame_event push_delimiter(struct frame_parser *parser, struct frame *out) {
    if (!parser->open || !is_whole(parser)) {
        /* Stay open: if a delimiter was lost, this one begins the next frame. */
        reopen(parser);
        return FRAME_TAKEN;
    }
    parser->open = false;
    out->type = parser->bytes[0];
    out->seq = get_u16(parser->bytes + 1);
    out->length = parser->bytes[3];
    out->payload = parser->bytes + FRAME_HEADER_BYTES;
    return FRAME_READY;
}

enum frame_event frame_push(struct frame_parser *parser, uint8_t byte, struct frame *out) {
    if (byte == FRAME_DELIMITER) {
        return push_delimiter(parser, out);
    }
    if (!parser->open) {
        return FRAME_TEXT;
    }
    if (is_reserved(byte)) {
        parser->open = false; /* no frame holds these: back to text */
        return FRAME_TAKEN;
    }
    if (byte == FRAME_ESCAPE) {
        parser->broken = parser->broken || parser->escaped;
        parser->escaped = true;
        return FRAME_TAKEN;
    }
    if (parser->escaped) {
        byte ^= 0x20u;
        parser->escaped = false;
    }
    if (parser->count >= FRAME_BYTES) {
        parser->broken = true;
        return FRAME_TAKEN;
    }
    parser->bytes[parser->count++] = byte;
    return FRAME_TAKEN;
}

static void send_stuffed(void (*write_byte)(uint8_t), const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint8_t byte = bytes[i];
        if (byte == FRAME_DELIMITER || byte == FRAME_ESCAPE || is_reserved(byte)) {
            write_byte(FRAME_ESCAPE);
            byte ^= 0x20u;
        }
        write_byte(byte);
    }
}

void frame_send(void (*write_byte)(uint8_t), uint8_t type, uint16_t seq, const uint8_t *payload,
                uint8_t length) {
    uint8_t header[FRAME_HEADER_BYTES];
    uint8_t crc[FRAME_CRC_BYTES];
    header[0] = type;
    put_u16(header + 1, seq);
    header[3] = length;
    put_u32(crc, crc32_update(crc32_update(0, header, FRAME_HEADER_BYTES), payload, length));
    write_byte(FRAME_DELIMITER);
    send_stuffed(write_byte, header, FRAME_HEADER_BYTES);
    send_stuffed(write_byte, payload, length);
    send_stuffed(write_byte, crc, FRAME_CRC_BYTES);
    write_byte(FRAME_DELIMITER);
}
