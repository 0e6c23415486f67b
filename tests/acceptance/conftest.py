"""A mixture and a cascade, briefly trained on digits; their firmware, built once for a board."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edgeq.arrays import channels_last
from edgeq.board import load_board
from edgeq.errors import Toolchain
from edgeq.firmware_project import FirmwareProject
from edgeq.ir import Graph
from edgeq.reference import Answered, quantize_rows, run
from edgeq.toolchain import Firmware, build, find_compiler, with_board
from tests.acceptance.boards import Array
from tests.acceptance.digits_mixture import digits_mixture
from tests.once import once

TRAIN = Path(__file__).parents[2] / "examples" / "digits" / "train.py"
EPOCHS = 3


@dataclass(frozen=True)
class Digits:
    """The quantised graph of a briefly trained network and its test rows, as int8."""

    kind: str  # "mixture" or "cascade"
    graph: Graph
    project: FirmwareProject
    small: FirmwareProject  # of the kernels that --optimize size takes
    rows: Array
    labels: Array
    expected: Answered
    weight_bytes: int


def _example() -> ModuleType:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    spec = importlib.util.spec_from_file_location("digits_example", TRAIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


KINDS_OF_DIGITS = ("mixture", "cascade")


@pytest.fixture(scope="session", params=KINDS_OF_DIGITS)
def digits(request: pytest.FixtureRequest, digits_of: Callable[[str], Digits]) -> Digits:
    """Each of them."""
    return digits_of(request.param)


@pytest.fixture(scope="session")
def digits_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Digits]:
    """A mixture or the example's cascade after a few epochs: each expert answers some rows."""
    return cache(lambda kind: _digits(kind, tmp_path_factory))


def _digits(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Digits:
    import edgeq
    from edgeq.frontend.torch_loader import graph_of
    from edgeq.passes import quantize
    from edgeq.passes.select_kernels import select_kernels

    example = _example()

    def train(folder: Path) -> None:
        cascade = kind == "cascade"
        trained = example.train(EPOCHS, False) if cascade else digits_mixture(example, EPOCHS)
        edgeq.save(trained, folder / "model.pt")

    model = edgeq.load(once(tmp_path_factory, f"digits_{kind}", train) / "model.pt")
    features = frozenset({"dsp"})
    graph = quantize(graph_of(model), channels_last(model.calibration), "mse", features).graph
    project, weight_bytes = _project(graph)
    x, labels = model.evaluation
    rows = quantize_rows(graph, channels_last(x))
    small, _ = _project(select_kernels(graph, frozenset()))
    answers = run(graph, rows)
    return Digits(kind, graph, project, small, rows, np.asarray(labels), answers, weight_bytes)


def _project(graph: Graph) -> tuple[FirmwareProject, int]:
    """The firmware of a lowered graph, and the bytes of its constants."""
    from edgeq.emit.firmware import firmware_project
    from edgeq.memory import plan_memory
    from edgeq.weights import pack_weights

    packed, plan = pack_weights(graph), plan_memory(graph)
    project = firmware_project(graph, plan, packed, model_name="digits", digest="ab" * 32)
    return project, packed.total_bytes


@pytest.fixture(scope="session")
def firmware(
    digits: Digits, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Firmware]:
    """firmware(compiler, board): the digits firmware at -O2; skips without that compiler."""
    built: dict[tuple[str, str, bool], Firmware] = {}

    def one(kind: str, board_name: str = "virtual_m4", small: bool = False) -> Firmware:
        if (kind, board_name, small) not in built:
            board = load_board(board_name)
            try:
                compiler = find_compiler(kind)  # type: ignore[arg-type]
            except Toolchain as error:
                pytest.skip(str(error))
            out = tmp_path_factory.mktemp(f"{kind}-{board_name}")
            project = with_board(digits.small if small else digits.project, board)
            built[kind, board_name, small] = build(project, board, compiler, out, "-O2")
        return built[kind, board_name, small]

    return one
