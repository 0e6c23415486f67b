"""Candidates on the same labelled rows: what each answers in integers, and what it costs."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeq.arrays import Array, class_labels, graph_rows, input_arrays, parts, read_npz, row_groups
from edgeq.errors import BadInput
from edgeq.passes.experts_alone import ROWS_AT_ONCE, real_logits
from edgeq.planning.counted import Counted, count_or_roomy
from edgeq.planning.planner import BUILD_S, Tell, duration
from edgeq.planning.rows import Rows
from edgeq.planning.table import Bench, Watch
from edgeq.reference import quantize_rows, run
from edgeq.sources import Trained, planned, source_of
from edgeq.thresholds.ranking import Clusters

if TYPE_CHECKING:
    from edgeq.ir import Graph
    from edgeq.nn import Model

STORED = "the model's evaluation set"
FEWEST = 20  # rows below which no interval says anything


@dataclass(frozen=True)
class Labelled:
    """The rows that candidates are judged on: `x` in a graph's layout, `y` (rows,), `clusters`."""

    x: Array
    y: Array
    clusters: Clusters
    source: str

    @classmethod
    def of(cls, model: "Model", data: Path | None) -> "Labelled":
        """BadInput for a model that is no classifier, and for rows without labels, or too few."""
        from edgeq.nn.sensitivity import classifies

        if not classifies(model):
            raise BadInput(
                f"{model.name!r} is no classifier of rows, and accuracies are what is compared; "
                "`edgeq plan` and `edgeq inspect` take it"
            )
        if data is not None:
            x = graph_rows(input_arrays(data, model.inputs), model.inputs, str(data), model.layout)
            y, groups, source = read_npz(data, "y")[0], row_groups(data, len(x)), str(data)
        elif model.evaluation is not None:
            held = parts(model.evaluation[0], model.inputs)
            x = graph_rows(held, model.inputs, STORED, model.layout)
            y, groups, source = model.evaluation[1], None, STORED
        else:
            raise BadInput(
                f"model {model.name!r} stores no evaluation set; pass --data X.npz (keys x and y), "
                "rows that no training and no choice saw"
            )
        labels = class_labels(y, len(x), model.classes, source)
        if len(x) < FEWEST:
            raise BadInput(f"{source} has {len(x)} rows; {FEWEST} are the fewest to compare on")
        return cls(x, labels, Clusters.read(groups, len(x)), source)


@dataclass(frozen=True)
class Candidate:
    """A model to judge. `widths`: of each layer, None of one that comes as it is."""

    name: str
    model: "Model"
    widths: Mapping[str, str] | None


@dataclass(frozen=True)
class Judged:
    """A candidate's answers: `right` and cross entropy (rows,), by its integers; and its cost."""

    name: str
    widths: Mapping[str, str] | None
    right: Array
    losses: Array
    counted: Counted


def candidates(
    given: Rows, bench: Bench, kinds: Sequence[str], plans: Sequence[Path], also: Sequence[Path]
) -> list[Candidate]:
    """The float model at each width throughout and under each plan, and finished models.

    Raises BadInput for plans of other layers, for a finished model of other rows or classes, and
    for fewer than two candidates.
    """
    from edgeq.nn.post_training import weighted_layers

    layers = weighted_layers(given.model)
    found = []
    for kind in kinds:
        widths = dict.fromkeys(layers, kind)
        found.append(Candidate(kind, bench.quantized(given.model, widths), widths))
    for file in plans:
        most, keep = planned(given.model, file)
        widths = {name: keep.get(name, most) for name in layers}
        found.append(Candidate(file.name, bench.quantized(given.model, widths), widths))
    for file in also:
        source = source_of(file)
        if not isinstance(source, Trained) or not _alike(source.model, given.model):
            raise BadInput(f"{file} does not take the rows, or name the classes, of the model")
        found.append(Candidate(file.name, source.model, None))
    names = [each.name for each in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(f"two candidates are called {', '.join(twice)}; give files other names")
    if len(found) < 2:
        raise BadInput("a comparison takes two candidates or more; give more --bits")
    return found


def _alike(a: "Model", b: "Model") -> bool:
    return (a.inputs, a.classes) == (b.inputs, b.classes)


def judge(
    many: Sequence[Candidate], on: Labelled, bench: Bench, watch: Watch, tell: Tell
) -> list[Judged]:
    """Each candidate run in integers on all rows, and counted on the board."""
    made: list[Judged] = []
    for at, one in enumerate(many):
        watch(at, len(many), f"{one.name} on {bench.board.name}")
        start = time.perf_counter()
        made.append(_judged(one, on, bench))
        if at == 0 and len(many) > 1:
            took = time.perf_counter() - start
            tell(f"one of {len(many)} candidates done; the rest: {duration(took * len(many[1:]))}")
    watch(len(many), len(many), "")
    return made


def expected(many: int, layers: int, rows: int, board: str) -> str:
    """What is told before anything runs."""
    seconds = many * (BUILD_S + rows * layers * 2e-3)
    return f"judging {many} candidates on {rows} rows, built for {board}: {duration(seconds)}"


def _judged(one: Candidate, on: Labelled, bench: Bench) -> Judged:
    source = Trained("0" * 64, one.model)
    calibration = source.rows(None)
    graph = source.quantized(calibration, "mse", bench.board.features, None).graph
    logits = integer_logits(graph, on.x)
    top = logits.max(axis=1, keepdims=True)
    normal = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
    rows = np.arange(len(on.y))
    return Judged(
        one.name,
        one.widths,
        logits.argmax(axis=1) == on.y,
        normal - logits[rows, on.y],
        count_or_roomy(graph, quantize_rows(graph, calibration[:1]), bench.board, bench.compiler),
    )


def integer_logits(graph: "Graph", x: Array) -> Array:
    """(rows, classes) real logits of the integer reference on float rows in the graph's layout."""
    codes = quantize_rows(graph, x)
    blocks = [codes[at : at + ROWS_AT_ONCE] for at in range(0, len(codes), ROWS_AT_ONCE)]
    return np.concatenate([real_logits(graph, run(graph, block).output) for block in blocks])
