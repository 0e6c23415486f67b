"""The kernels that hear: rows of the kernel table for ops of ops/log_mel.py's FRONT_ENDS."""

from edgeq.kernels.headers import WAITING
from edgeq.kernels.layer_needs import log_mel_scratch, mfcc_scratch, pcen_scratch
from edgeq.kernels.weightless import on_both

_ROWS = (
    ("LogMel", "log_mel", log_mel_scratch, ()),
    ("Mfcc", "mfcc", mfcc_scratch, ("edgeq_mfcc.h",)),
    ("Pcen", "pcen", pcen_scratch, ("edgeq_pcen.h",)),
    ("PcenStep", "pcen_step", log_mel_scratch, ("edgeq_pcen.h", WAITING)),
)
FRONT_ENDS_DSP, FRONT_ENDS_PLAIN = on_both(
    _ROWS,
    "s16",
    ("edgeq_log_mel.h", "edgeq_log_mel_dsp.h"),
    ("edgeq_log_mel.h", "edgeq_log_mel_plain.h"),
)
