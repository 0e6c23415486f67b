"""edgeq: from a trained quantized mixture of experts to a microcontroller that runs it.

The functions mirror the commands; docs/python.md shows them at work. Their modules import what is
heavy when a function is called: `import edgeq` stays free of torch and numpy. No module in here may
have the name of a verb: importing it would hide the verb.
"""

from edgeq.models import (
    from_curious_qmoe,
    from_keras,
    from_onnx,
    from_tflite,
    from_torch,
    load,
    mixture_of,
    quantize,
    save,
)
from edgeq.pipeline import build, estimate, export, flash, profile, verify
from edgeq.study_verbs import advise, inspect, pareto, plan, search
from edgeq.verbs import boards, compare, doctor, listen, meters, mix, read_run, report, stop
from edgeq.version import __version__

__all__ = [
    "__version__",
    "advise",
    "boards",
    "build",
    "compare",
    "doctor",
    "estimate",
    "export",
    "flash",
    "from_curious_qmoe",
    "from_keras",
    "from_onnx",
    "from_tflite",
    "from_torch",
    "inspect",
    "listen",
    "load",
    "meters",
    "mix",
    "mixture_of",
    "pareto",
    "plan",
    "profile",
    "quantize",
    "read_run",
    "report",
    "save",
    "search",
    "stop",
    "verify",
]
