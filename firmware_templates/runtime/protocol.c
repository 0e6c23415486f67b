#include "protocol.h"

#include <stdint.h>

#include "elapsed.h"
#include "frame.h"
#include "line_rate.h"
#include "mlperf.h"
#include "port/hal.h"
#include "requests.h"
#include "sample.h"

static struct frame_parser parser;

void protocol_init(void) {
    sample_init();
    requests_init();
    mlperf_boot();
}

bool protocol_poll(void) {
    struct frame request;
    int byte = hal_getc();
    line_rate_check();
    if (byte < 0) {
        (void)elapsed_cycles(); /* the line falls idle far more often than 32 bits wrap */
        return false;
    }
    switch (frame_push(&parser, (uint8_t)byte, &request)) {
    case FRAME_TEXT:
        mlperf_push((char)byte);
        break;
    case FRAME_READY:
        requests_answer(&request);
        line_rate_agreed();
        break;
    case FRAME_TAKEN:
        if ((uint8_t)byte == FRAME_DELIMITER) {
            mlperf_discard();
        }
        break;
    }
    return true;
}
