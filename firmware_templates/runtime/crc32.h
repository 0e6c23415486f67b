#ifndef EDGEQ_CRC32_H
#define EDGEQ_CRC32_H

#include <stdint.h>

/* CRC-32 of IEEE 802.3 (that of zlib and PNG). Start with 0; feed a result back to continue. */
uint32_t crc32_update(uint32_t crc, const uint8_t *bytes, uint32_t count);

#endif
