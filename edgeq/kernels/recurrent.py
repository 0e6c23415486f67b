"""Recurrent kernels and the filters of SVDF: rows of the kernel table, for DSP cores and plain."""

from edgeq.kernels.headers import WAITING
from edgeq.kernels.layer_needs import no_scratch, recurrent_scratch, step_scratch
from edgeq.kernels.weightless import weightless, weightless_dsp

_GRU, _MGU = (("edgeq_gru.h", f"edgeq_{name}_unit.h") for name in ("gru", "mgu"))
_ROWS = (
    ("Lstm", "lstm", recurrent_scratch, ("edgeq_lstm.h",)),
    ("Gru", "gru", recurrent_scratch, _GRU),
    ("Mgu", "mgu", recurrent_scratch, _MGU),
    ("LstmStep", "lstm_step", step_scratch, ("edgeq_lstm.h", "edgeq_lstm_step.h", WAITING)),
    ("GruStep", "gru_step", step_scratch, (*_GRU, WAITING)),
    ("MguStep", "mgu_step", step_scratch, (*_MGU, WAITING)),
    ("SvdfFeature", "svdf_feature", no_scratch, ("edgeq_svdf_feature.h",)),
)
_GATES = "edgeq_gates.h"
RECURRENT_DSP = tuple(
    weightless_dsp(
        f"edgeq_{name}_s8_dsp", op, (_GATES, "edgeq_gate_rows_dsp.h", *own), scratch=scratch
    )
    for op, name, scratch, own in _ROWS
)
RECURRENT_PLAIN = tuple(
    weightless(f"edgeq_{name}_s8", op, (_GATES, "edgeq_gate_rows_plain.h", *own), scratch=scratch)
    for op, name, scratch, own in _ROWS
)
