#ifndef EDGEQ_SERVED_MODEL_H
#define EDGEQ_SERVED_MODEL_H

#include <stdint.h>

/* The one instance that this firmware serves, under names that no model changes: functions of
 * their own, so that a debugger and a virtual board find them in every image. */
void served_init(void);
void served_reset(void);
int served_infer(const int8_t *input, int8_t *output);
int32_t served_route(void);
uint32_t served_uncertainty(void);
uint32_t served_confidence(void);
const uint32_t *served_layer_cycles(void);

#endif
