#include "port/hal.h"
#include "runtime/protocol.h"
#include "runtime/served_model.h"
#include "runtime/stack_paint.h"

int main(void) {
    stack_paint();
    hal_init();
    served_init();
    protocol_init();
    for (;;) {
        if (!protocol_poll()) {
            hal_idle();
        }
    }
}
