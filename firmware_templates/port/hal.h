/* The port: all that the firmware asks of a board. One folder beside this file implements it. */
#ifndef EDGEQ_HAL_H
#define EDGEQ_HAL_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void hal_init(void);         /* clock to full speed, UART, cycle counter, marker pin */
int hal_getc(void);          /* next received byte 0..255, or -1 at once */
void hal_putc(uint8_t byte); /* waits until a deadline, then drops the byte */
uint32_t hal_cycles(void);   /* free-running cycle counter, wraps at 2^32 */
uint32_t hal_clock_hz(void); /* cycles per second of hal_cycles */
void hal_marker(bool high);  /* trigger pin for a current meter */
void hal_idle(void);         /* called while waiting for input; may do nothing */

/* A port may leave these two out: runtime/line_rate.c says then that its rate stays. */
uint32_t hal_baud_near(uint32_t baud); /* the rate its UART makes of this one, 0 for none */
void hal_set_baud(uint32_t baud);      /* once what was sent is out */

/* The stack grows down from __stack_top__ to __stack_limit__ (linker symbols). */
extern uint32_t __stack_limit__[];
extern uint32_t __stack_top__[];

#ifdef __cplusplus
}
#endif

#endif
