"""No kernel branches, loads or stores under a condition on its activations: proven by a trace.

test_constant_time.py compares a few inputs; this one follows the marks of any input.
"""

from pathlib import Path

import numpy as np
import pytest

from edgeq.board import load_board
from edgeq.constant_time import CallGraph
from edgeq.constant_time.taint import Taint
from edgeq.constant_time.trace import DECIDES, Trace, Tracer
from edgeq.sim import Machine
from tests.kernels.test_constant_time import RUNS, constants

OFTEN = ("run_layer_norm_s8", "run_router_s8", "run_router_s8_escalation", "run_softmax_s8")
BOARD = load_board("virtual_m4")


def traced(elf: Path, root: str) -> Trace:
    """One call of `root`, the activations `x` marked."""
    machine, code = Machine(BOARD).load(elf), CallGraph(elf)
    for name, values in constants(np.random.default_rng(5)).items():
        machine.write(machine.symbol(name), values.tobytes())
    taint = Taint(machine.config.ram_origin, machine.config.ram_bytes, code.objects)
    (activations,) = ((at, size) for at, size, name in code.objects if name == "x")
    taint.mark(*activations)
    tracer = Tracer(machine, code.reachable(root), taint)
    tracer.on = True
    machine.call(root)
    return tracer.finish()


@pytest.mark.parametrize(
    "root", [n if n in OFTEN else pytest.param(n, marks=pytest.mark.full) for n in RUNS]
)
def test_activations_decide_nothing(linked: Path, root: str) -> None:
    trace = traced(linked, root)
    assert trace.instructions > 40
    assert not trace.sites(*DECIDES)
