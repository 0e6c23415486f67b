#define EDGEQ_FIRMWARE_DIGEST "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
#ifndef EDGEQ_BOARD_NAME /* a test may name it as no honest board would */
#define EDGEQ_BOARD_NAME "host_stub"
#endif
