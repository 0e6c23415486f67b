#ifndef EDGEQ_PROTOCOL_H
#define EDGEQ_PROTOCOL_H

#include <stdbool.h>

/* Call after hal_init and served_init: prints the boot lines. */
void protocol_init(void);

/* Handles at most one received byte; false when none was waiting. */
bool protocol_poll(void);

#endif
