"""Recurrent kernels and the filters of SVDF: rows of the kernel table, for DSP cores and plain."""

from edgeq.kernels.headers import WAITING
from edgeq.kernels.layer_needs import no_scratch, recurrent_scratch, step_scratch
from edgeq.kernels.weightless import on_both

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
RECURRENT_DSP, RECURRENT_PLAIN = on_both(
    _ROWS,
    "s8",
    ("edgeq_gates.h", "edgeq_gate_rows_dsp.h"),
    ("edgeq_gates.h", "edgeq_gate_rows_plain.h"),
)
