/* The router on plain layers. */
#define EDGEQ_ROUTER_LAYER(p, x, y, scratch) edgeq_fully_connected_s8_s8(p, x, y)
#include "edgeq_router.h"

EDGEQ_KERNEL void edgeq_router_s8(const edgeq_router_params *p, const int8_t *x, edgeq_routing *out,
                                  void *scratch) {
    edgeq_route_s8(p, x, out, scratch);
}
