/* What a board file would set; the tests pass -D instead. */
#define EDGEQ_UART_BAUD 115200u
