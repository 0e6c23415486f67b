"""How many files a model passes through on its way from its path to the export folder.

Counted by following every call. A file is on the line when a function of it is handed the path or
what that has become, and returns what it becomes next: Model, Source, Graph, Quantized,
Compiled, Costed, ExportReport. Only what the folder is written from counts: a proof, a plan or a
table looks at the graph and hands nothing on. A check on the line counts, and so does a pass that
has nothing to do in this model: the model passes through it.
"""

import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn, passes
from edgeq.compiled import Compiled
from edgeq.estimating import Costed
from edgeq.export_report import ExportReport
from edgeq.ir import Graph
from edgeq.passes import Quantized
from edgeq.pipeline import export
from edgeq.sources import Imported, Trained

MOST_FILES = 20  # 30 once, with 69 returns to files that had been visited
HOUSE = Path(edgeq.__file__).parent
BECOMES = (nn.Model, Trained, Imported, Graph, Quantized, Compiled, Costed, ExportReport)


@dataclasses.dataclass(frozen=True)
class Move:
    """A call that returned `made`; both are ids."""

    file: str
    given: frozenset[int]
    made: frozenset[int]


class Followed:
    """The calls of `edgeq` that return a value of the line, in order; a profile function."""

    def __init__(self, start: Path) -> None:
        self.start = start
        self.moves: list[Move] = []
        self.written: frozenset[int] = frozenset()
        self._open: dict[int, frozenset[int]] = {}
        self._kept: list[object] = [start]  # alive until the end: an id is of one value only

    def __call__(self, frame: FrameType, event: str, result: object) -> None:
        code = frame.f_code
        replaced = code is dataclasses.replace.__code__  # no file of edgeq's, but it hands on
        ours = replaced or code.co_filename.startswith(f"{HOUSE}/")
        if event not in ("call", "return") or not ours:
            return
        if event == "call":
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            told = [frame.f_locals.get(name) for name in names]
            given = self._ids((*told, *(frame.f_locals["changes"].values() if replaced else ())))
            self._open[id(frame)] = given
            if code.co_qualname == "write_report":
                self.written = given
        elif not code.co_flags & inspect.CO_GENERATOR:
            given, made = self._open.pop(id(frame), frozenset()), self._ids(result)
            if given and made:
                file = "" if replaced else Path(code.co_filename).relative_to(HOUSE).as_posix()
                self.moves.append(Move(file, given, made))

    def _ids(self, value: object) -> frozenset[int]:
        found = list(self._of_the_line(value))
        self._kept += found
        return frozenset(id(self.start) if one == self.start else id(one) for one in found)

    def _of_the_line(self, value: object) -> Iterator[object]:
        """The value, and what is inside it."""
        if isinstance(value, tuple):
            for each in value:
                yield from self._of_the_line(each)
        elif isinstance(value, BECOMES):
            yield value
            if dataclasses.is_dataclass(value) and not isinstance(value, Graph):
                yield from self._of_the_line(tuple(vars(value).values()))
        elif isinstance(value, str | Path) and Path(value) == self.start:
            yield self.start

    def files(self) -> list[str]:
        """Those of the line, as a reader meets them."""
        wanted, line = set(self.written), list[Move]()
        for move in reversed(self.moves):
            if move.made & wanted:
                wanted |= move.given
                line.append(move)
        files = [move.file for move in reversed(line) if move.file]
        return list(dict.fromkeys(["pipeline.py", *files, "export_folder.py"]))


def followed(start: Path, run: Callable[[], object]) -> list[str]:
    seen = Followed(start)
    sys.setprofile(seen)
    try:
        run()
    finally:
        sys.setprofile(None)
    assert seen.written, "nothing was written"
    return seen.files()


def mixture() -> nn.Model:
    torch.manual_seed(1)
    experts = [  # with work for every pass of a mixture
        nn.Sequential(nn.Linear(4, 6, kind), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3, kind))
        for kind in ("ternary", 8)
    ]
    body = nn.Mixture(experts, nn.BayesianRouter(4, 2, (4, 4), 0.2, 2, 1), ("ternary", 8))
    rows = np.random.default_rng(5).normal(size=(24, 4)).astype(np.float32)
    return nn.Model(body, (4,), name="small", calibration=rows)


def test_a_model_passes_through_twenty_files_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A detour of one file more is planted, so that the count is known to see files."""
    source = "def planted(select):\n    return lambda *given: detour(select(*given))\n"
    source += "def detour(graph):\n    return graph\n"
    scope: dict[str, Callable[..., Callable[..., Graph]]] = {}
    exec(compile(source, str(HOUSE / "detour.py"), "exec"), scope)
    monkeypatch.setattr(passes, "select_kernels", scope["planted"](passes.select_kernels))
    path, out = tmp_path / "model.pt", tmp_path / "out"
    edgeq.save(mixture(), path)
    line = followed(path, lambda: export(path, "cortex-m4", out, accept_mismatch=True))
    for must in ("sources.py", "passes/verify.py", "detour.py", "compiled.py", "export_report.py"):
        assert must in line, "the line is no longer followed"
    files = [file for file in line if file != "detour.py"]
    assert len(files) <= MOST_FILES, files
