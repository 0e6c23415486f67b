/* The router on layers of a core with the DSP extension. */
#include "edgeq_kernels_dsp.h"

#define EDGEQ_ROUTER_LAYER(p, x, y, scratch) edgeq_fully_connected_s8_s8_dsp(p, x, y, scratch)
#include "edgeq_router.h"

EDGEQ_KERNEL void edgeq_router_s8_dsp(const edgeq_router_params *p, const int8_t *x,
                                      edgeq_routing *out, void *scratch) {
    edgeq_route_s8(p, x, out, scratch);
}
