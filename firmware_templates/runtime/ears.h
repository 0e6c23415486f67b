#ifndef EDGEQ_EARS_H
#define EDGEQ_EARS_H

#include <stdbool.h>
#include <stdint.h>

#include "board_config.h"

/* Only in a firmware that captures: see port/capture. */
#ifdef EDGEQ_CAPTURE_IRQ

/* From the next call of ears_listen on; `target` is the output that a detection is of. False: the
 * board cannot capture at that rate, or the model has no such output. */
bool ears_start(uint32_t rate_hz, uint32_t target);

/* Hears hop by hop, asleep between them, until a byte comes; that one is dropped with the rest of
 * its command. Returns at once where nothing was started. */
void ears_listen(void);

/* Prints what was heard since the last start. */
void ears_report(void);

#endif

#endif
