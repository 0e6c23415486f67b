"""A briefly trained digits mixture; its firmware, built once for a compiler and a board."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edgeq.arrays import channels_last
from edgeq.board import load_board
from edgeq.errors import Toolchain
from edgeq.firmware_project import FirmwareProject
from edgeq.ir import Graph
from edgeq.reference import Run, quantize_rows, run
from edgeq.toolchain import Firmware, build, find_compiler, with_board
from tests.acceptance.boards import Array

TRAIN = Path(__file__).parents[2] / "examples" / "digits" / "train.py"
EPOCHS = 3


@dataclass(frozen=True)
class Digits:
    """The quantised graph of a briefly trained mixture and its test rows, as int8."""

    graph: Graph
    project: FirmwareProject
    rows: Array
    labels: Array
    expected: Run
    weight_bytes: int


def _example() -> ModuleType:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    spec = importlib.util.spec_from_file_location("digits_example", TRAIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def digits() -> Digits:
    """The example's own model after a few epochs: every expert still answers some rows."""
    from edgeq.emit.firmware import firmware_project
    from edgeq.frontend.torch_loader import graph_of
    from edgeq.memory import plan_memory
    from edgeq.passes import quantize
    from edgeq.weights import pack_weights

    model = _example().train(epochs=EPOCHS, progress=False)
    graph = quantize(graph_of(model), channels_last(model.calibration), "mse").graph
    packed = pack_weights(graph)
    project = firmware_project(
        graph, plan_memory(graph), packed, model_name="digits", digest="ab" * 32
    )
    x, labels = model.evaluation
    rows = quantize_rows(graph, channels_last(x))
    return Digits(graph, project, rows, np.asarray(labels), run(graph, rows), packed.total_bytes)


@pytest.fixture(scope="session")
def firmware(
    digits: Digits, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Firmware]:
    """firmware(compiler, board): the digits firmware at -O2; skips without that compiler."""
    built: dict[tuple[str, str], Firmware] = {}

    def one(kind: str, board_name: str = "virtual_m4") -> Firmware:
        if (kind, board_name) not in built:
            board = load_board(board_name)
            try:
                compiler = find_compiler(kind)  # type: ignore[arg-type]
            except Toolchain as error:
                pytest.skip(str(error))
            out = tmp_path_factory.mktemp(f"{kind}-{board_name}")
            built[kind, board_name] = build(
                with_board(digits.project, board), board, compiler, out, "-O2"
            )
        return built[kind, board_name]

    return one
