/* 1 / sqrt(d) without a divide, for what normalises. */
#ifndef EDGEQ_RSQRT_H
#define EDGEQ_RSQRT_H

#include <stdint.h>

#include "edgeq_requantize.h"

/* 2^30 / sqrt(d) at the middle of 24 intervals of d in [0.25, 1). */
static const uint32_t edgeq_rsqrt_start[24] = {
    2083365155u, 1970666148u, 1874477404u, 1791125178u, 1717986918u, 1653133683u,
    1595110809u, 1542797797u, 1495315679u, 1451963954u, 1412176548u, 1375490368u,
    1341522400u, 1309952745u, 1280511845u, 1252970736u, 1227133513u, 1202831433u,
    1179918260u, 1158266544u, 1137764631u, 1118314230u, 1099828424u, 1082230034u,
};

/* 2^30 / sqrt(d / 2^32) for d in [2^30, 2^32): three Newton steps. */
static inline uint32_t edgeq_rsqrt_q30(uint32_t d) {
    uint32_t r = edgeq_rsqrt_start[(d >> 27) - 8];
    for (int32_t i = 0; i < 3; i++) {
        uint32_t error = (3u << 28) - edgeq_high_multiply(d, edgeq_high_multiply(r, r));
        r = (uint32_t)(((uint64_t)r * error) >> 29);
    }
    return r;
}

#endif
