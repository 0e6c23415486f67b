"""Imported files as firmware: the host build of each answers what the reference does."""

from pathlib import Path

import numpy as np
import pytest

from edgeq.compiled import compile_graph
from edgeq.frontend.tflite_loader import graph_of_tflite
from edgeq.passes.select_kernels import select_kernels
from edgeq.prove.host import host_runner
from edgeq.prove.trials import Answer, Trial
from edgeq.reference import run
from tests.factory import input_rows
from tests.tflite_files import TAKEN
from tests.tflite_more import MORE

SAMPLED = {("dense of -128", "v6m"), ("conv of -128", "dsp"), ("average same", ""), ("sum", "dsp")}
SAMPLED |= {("conv same asymmetric", "dsp"), ("depthwise same", "dsp"), ("dense of -128", "dsp")}
SAMPLED |= {("conv in groups", "dsp"), ("mean", ""), ("prelu of every cell", "dsp")}
FILES = {**TAKEN, **MORE}


@pytest.mark.parametrize(
    ("name", "isa"),
    [
        pytest.param(name, isa, marks=() if (name, isa) in SAMPLED else pytest.mark.full)
        for name in FILES
        for isa in ("", "dsp", "v6m")
    ],
)
def test_the_firmware_of_an_imported_file(name: str, isa: str, tmp_path: Path) -> None:
    graph = select_kernels(graph_of_tflite(FILES[name], "imported"), frozenset({isa} - {""}))
    compiled = compile_graph(graph, "imported", "0" * 64)
    x = input_rows(np.random.default_rng(6), graph, 12)
    wanted = run(graph, x).output.reshape(len(x), -1)
    trials = [Trial((), row, None, Answer(b"", -1, 0)) for row in x]
    said = host_runner(graph, compiled.project, tmp_path)(trials)
    got = np.stack([np.frombuffer(answer.output, np.int8) for answer in said])
    np.testing.assert_array_equal(got, wanted)
