/* Sound in: a microphone's samples, by DMA into the halves of a buffer while the core may sleep. */
#ifndef EDGEQ_CAPTURE_H
#define EDGEQ_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Samples come from now on at rate_hz into `halves`, two frames of `samples` each, which must stay.
 * False: the board cannot make that rate, or its converter does not answer.
 */
bool capture_start(uint16_t *halves, uint32_t samples, uint32_t rate_hz);

/*
 * Copies the next frame, signed, full scale 32767. False: none is whole yet. With `sleep` the core
 * then sleeps (WFI) until an interrupt has come and looks once more: call it again.
 */
bool capture_frame(int16_t *frame, bool sleep);

/* Frames since the start that were lost: written over before they were copied. */
uint32_t capture_overruns(void);

/* No sample more; converter and DMA are off. */
void capture_stop(void);

#ifdef __cplusplus
}
#endif

#endif
