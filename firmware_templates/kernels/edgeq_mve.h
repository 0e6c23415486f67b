/* The vector extension of Armv8.1-M (Helium), by its intrinsics; kernels have a plain twin beside.
 * Arm ACLE, MVE intrinsics (IHI 0101). */
#ifndef EDGEQ_MVE_H
#define EDGEQ_MVE_H

#include "edgeq_requantize.h"

#if defined(__ARM_FEATURE_MVE) && !defined(EDGEQ_PORTABLE)
#include <arm_mve.h>
#define EDGEQ_MVE 1

/* edgeq_requantize of four sums. VQRDMULH rounds as edgeq_srdhm does; VRSHL rounds half a step up,
 * so that a negative number which is shifted right is first made one less: away from zero. */
static inline int32x4_t edgeq_requantize_mve(int32x4_t acc, int32x4_t multiplier, int32x4_t shift,
                                             int32_t zero_point, int32_t low, int32_t high) {
    int32x4_t none = vdupq_n_s32(0);
    int32x4_t left = vmaxq_s32(shift, none);
    int32x4_t right = vminq_s32(shift, none);
    int32x4_t high_half = vqrdmulhq_s32(vshlq_s32(acc, left), multiplier);
    mve_pred16_t below = vcmpltq_n_s32(vandq_s32(high_half, right), 0);
    int32x4_t lower = vqsubq_m_n_s32(high_half, high_half, 1, below);
    int32x4_t scaled = vrshlq_s32(lower, right);
    int32x4_t moved = vaddq_n_s32(scaled, zero_point);
    return vminq_s32(vmaxq_s32(moved, vdupq_n_s32(low)), vdupq_n_s32(high));
}
#else
#define EDGEQ_MVE 0
#endif

#endif
