/* The newest cells of a stream: what calls before left, and what this one brings. */
#include "edgeq_kernels.h"
#include "edgeq_move.h"

EDGEQ_KERNEL void edgeq_history_s8(const edgeq_history_params *p, const void *x, void *y,
                                   void *state) {
    const uint8_t *given = x;
    uint8_t *made = y;
    uint8_t *kept = state;
    edgeq_move(made, kept, p->old);
    edgeq_move(made + p->old, given, p->new_made);
    edgeq_move(kept, kept + p->given, p->stays);
    edgeq_move(kept + p->stays, given + p->given - p->new_kept, p->new_kept);
}
