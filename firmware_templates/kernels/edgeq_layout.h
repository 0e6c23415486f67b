/* What assembly takes for granted of structs, checked when it is compiled. */
#ifndef EDGEQ_LAYOUT_H
#define EDGEQ_LAYOUT_H

#include <stddef.h>

/* The array's size is negative where the claim does not hold. */
#define EDGEQ_HOLDS(claim) extern const char edgeq_layout_holds[(claim) ? 1 : -1]

/* `member` of `type` stands `offset` bytes behind its beginning. */
#define EDGEQ_AT(type, member, offset) EDGEQ_HOLDS(offsetof(type, member) == (offset))

#endif
