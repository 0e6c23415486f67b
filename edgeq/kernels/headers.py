"""Headers of firmware_templates/kernels that many kernels take."""

PUBLIC = "edgeq_kernels.h"
VERSION = "edgeq_kernel_version.h"  # its copy in an export carries the version
PUBLIC_DSP = "edgeq_kernels_dsp.h"
REQUANTIZE = "edgeq_requantize.h"
LAYOUT = "edgeq_layout.h"
ALL = (PUBLIC, VERSION)
DSP = ("edgeq_dsp.h", LAYOUT, REQUANTIZE)
WAITING = "edgeq_waiting.h"
