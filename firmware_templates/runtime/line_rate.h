#ifndef EDGEQ_LINE_RATE_H
#define EDGEQ_LINE_RATE_H

#include <stdbool.h>
#include <stdint.h>

/* Without a sound frame for so long, the line goes back to the rate of its build. */
#ifndef EDGEQ_LINE_SILENCE_MS
#define EDGEQ_LINE_SILENCE_MS 3000u
#endif

/* Whether the board's UART makes the rate, to 2 %. */
bool line_rate_possible(uint32_t baud);

/* From the next byte on; what was sent is out before. */
void line_rate_set(uint32_t baud);

/* A sound frame came, or was answered: both ends agree. */
void line_rate_agreed(void);

/* To be called now and then. */
void line_rate_check(void);

#endif
