"""The kernels that hear: rows of the kernel table for ops of ops/log_mel.py's FRONT_ENDS."""

from edgeq.kernels.headers import WAITING
from edgeq.kernels.layer_needs import log_mel_scratch, mfcc_scratch, pcen_scratch
from edgeq.kernels.weightless import weightless, weightless_dsp

_ROWS = (
    ("LogMel", "log_mel", log_mel_scratch, ()),
    ("Mfcc", "mfcc", mfcc_scratch, ("edgeq_mfcc.h",)),
    ("Pcen", "pcen", pcen_scratch, ("edgeq_pcen.h",)),
    ("PcenStep", "pcen_step", log_mel_scratch, ("edgeq_pcen.h", WAITING)),
)
FRONT_ENDS_DSP = tuple(
    weightless_dsp(
        f"edgeq_{name}_s16_dsp",
        op,
        ("edgeq_log_mel.h", "edgeq_log_mel_dsp.h", *own),
        scratch=scratch,
    )
    for op, name, scratch, own in _ROWS
)
FRONT_ENDS_PLAIN = tuple(
    weightless(
        f"edgeq_{name}_s16",
        op,
        ("edgeq_log_mel.h", "edgeq_log_mel_plain.h", *own),
        scratch=scratch,
    )
    for op, name, scratch, own in _ROWS
)
