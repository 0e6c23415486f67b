/* What assembly takes for granted of structs, checked when it is compiled, and where there is none:
 * a build with EDGEQ_PORTABLE takes every kernel's plain C. */
#ifndef EDGEQ_LAYOUT_H
#define EDGEQ_LAYOUT_H

#include <stddef.h>

/* Keeps a compiler from solving a loop of few turns for its end: that takes more code, or a divide.
 */
#if defined(EDGEQ_PORTABLE)
#define EDGEQ_STEPS(x) ((void)(x))
#else
#define EDGEQ_STEPS(x) __asm__("" : "+r"(x))
#endif

/* The array's size is negative where the claim does not hold. */
#define EDGEQ_HOLDS(claim) extern const char edgeq_layout_holds[(claim) ? 1 : -1]

/* `member` of `type` stands `offset` bytes behind its beginning. */
#define EDGEQ_AT(type, member, offset) EDGEQ_HOLDS(offsetof(type, member) == (offset))

#endif
