"""The kernels that hear: rows of the kernel table for ops of ops/log_mel.py's FRONT_ENDS."""

from edgeq.kernels import headers
from edgeq.kernels.kernel import DSP, Kernel
from edgeq.kernels.layer_needs import Scratch, log_mel_scratch, mfcc_scratch, pcen_scratch


def _plain(name: str, op: str, scratch: Scratch, *own: str) -> Kernel:
    more = (headers.REQUANTIZE, "edgeq_log_mel.h", "edgeq_log_mel_plain.h", *own)
    return Kernel(name, op, None, (f"{name}.c",), (*headers.ALL, *more), scratch)


def _dsp(name: str, op: str, scratch: Scratch, *own: str) -> Kernel:
    files = (*headers.ALL, headers.PUBLIC_DSP, *headers.DSP)
    more = ("edgeq_log_mel.h", "edgeq_log_mel_dsp.h", *own)
    needs = frozenset({DSP})
    return Kernel(name, op, None, (f"{name}.c",), (*files, *more), scratch, DSP, needs)


_PCEN = "edgeq_pcen.h"
FRONT_ENDS_DSP = (
    _dsp("edgeq_log_mel_s16_dsp", "LogMel", log_mel_scratch),
    _dsp("edgeq_mfcc_s16_dsp", "Mfcc", mfcc_scratch, "edgeq_mfcc.h"),
    _dsp("edgeq_pcen_s16_dsp", "Pcen", pcen_scratch, _PCEN),
    _dsp("edgeq_pcen_step_s16_dsp", "PcenStep", log_mel_scratch, _PCEN, headers.WAITING),
)
FRONT_ENDS_PLAIN = (
    _plain("edgeq_log_mel_s16", "LogMel", log_mel_scratch),
    _plain("edgeq_mfcc_s16", "Mfcc", mfcc_scratch, "edgeq_mfcc.h"),
    _plain("edgeq_pcen_s16", "Pcen", pcen_scratch, _PCEN),
    _plain("edgeq_pcen_step_s16", "PcenStep", log_mel_scratch, _PCEN, headers.WAITING),
)
