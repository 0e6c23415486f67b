"""A source whose window is taken hop by hop: what `edgeq export --stream` starts from."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from edgeq.arrays import Array, Layout, Shapes, hops, own_axis
from edgeq.errors import BadInput, Mismatch
from edgeq.estimating.budget import SECONDS, read_quantity
from edgeq.export_folder import WINDOW
from edgeq.ir import Graph
from edgeq.ir.c_names import c_name
from edgeq.ir.ports import LABELS
from edgeq.ops.carried import CARRYING
from edgeq.ops.op import with_entry
from edgeq.ops.routed import routed_node, without_hold
from edgeq.passes import Quantized, frozen
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.stored_graph import stored_graph
from edgeq.passes.stream import padded, stream, time_axis, timing, unpadded
from edgeq.passes.verify import verify
from edgeq.prove import Subject, prove_export
from edgeq.prove.check import Check
from edgeq.prove.stream import check_carried, check_stream
from edgeq.reference import quantize_rows
from edgeq.sources import Origin, Source
from edgeq.task import Task

CARRIES = (
    "recurrent layers carry their state on: an answer is of all frames since the last reset, and "
    "the window's where those are one window"
)
MOST_HOPS = 4096  # of the calibration rows, on which routes are counted
WHOLE = 1e-6  # how far a hop may be from a whole number of frames


@dataclass(frozen=True)
class StreamRequest:
    """`hop` as it was given: "hop=2" frames, or "hop=40ms"."""

    hop: str
    lookahead: bool = False
    carry: bool = False

    @classmethod
    def read(cls, hop: str | None, lookahead: bool, carry: bool = False) -> "StreamRequest | None":
        """From the command line's options. BadInput for a hop that is none."""
        if hop is None:
            if lookahead or carry:
                raise BadInput(
                    f"--{'lookahead' if lookahead else 'carry'} goes with --stream hop=N"
                )
            return None
        request = cls(hop, lookahead, carry)
        request.frames(1.0)
        return request

    def frames(self, period_s: float | None) -> int:
        """The hop in frames. BadInput for a time without a period, or between two frames."""
        found = re.fullmatch(r"hop=(\d{1,6})|hop=(\d.*[a-z])", self.hop)
        if found is None:
            raise BadInput(f"--stream {self.hop}: give hop=N in frames, or a time, as hop=20ms")
        if found[1]:
            return int(found[1])
        seconds = read_quantity("--stream hop", found[2], SECONDS)
        if period_s is None:
            raise BadInput(
                f"--stream {self.hop}: the model does not say how long a frame is; give frames "
                "(hop=1), or save it with nn.Model(..., frame_s=0.02)"
            )
        frames = seconds / period_s
        if period_s != 1.0 and abs(frames - round(frames)) > WHOLE * max(1.0, frames):
            raise BadInput(
                f"--stream {self.hop} is {frames:.4g} frames of {period_s * 1e3:g} ms; give a "
                "whole number of them"
            )
        return round(frames)


@dataclass(frozen=True)
class Streamed:
    """`window` is the source's own graph, calibrated on `windows`; `graph` one step of it."""

    source: Source
    windows: Array
    window: Quantized
    graph: Graph

    @property
    def digest(self) -> str:
        return self.source.digest

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def layout(self) -> Layout:
        return self.source.layout

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return self.source.class_names

    @property
    def task(self) -> Task | None:
        return self.source.task

    @property
    def origin(self) -> Origin | None:
        return self.source.origin

    @property
    def _axis(self) -> int:
        return time_axis(self.window.graph.tensors[self.window.graph.inputs[0]].shape)

    @property
    def _hop(self) -> int:
        return self.graph.tensors[self.graph.inputs[0]].shape[self._axis]

    @property
    def _own_axis(self) -> int:
        """Time among the axes of the model's own rows, the batch left away."""
        return own_axis(len(self.source.input_shape), self._axis, self.layout)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of a hop."""
        return with_entry(tuple(self.source.input_shape), self._own_axis, self._hop)

    @property
    def inputs(self) -> Shapes:
        return dict.fromkeys(self.source.inputs, self.input_shape)

    @property
    def evaluation(self) -> dict[str, Array] | None:
        """The stored set as hops of one recording; its labels are of windows."""
        held = self.source.evaluation
        if held is None:
            return None
        (x,) = (rows for name, rows in held.items() if name != LABELS)
        return {"x": hops(x, self._own_axis, self._hop)}

    @property
    def notes(self) -> tuple[str, ...]:
        """The source's own, and what padding along time became."""
        front, behind = padded(self.window.graph, timing(self.window.graph))
        if carries(self.graph):
            return *self.source.notes, CARRIES
        if not front and not behind:
            return self.source.notes
        said = (
            f"{', '.join(dict.fromkeys((*front, *behind)))} pad along time: a stream reads the "
            "frames that stand there, so its answers are those of the window without padding"
        )
        return *self.source.notes, said

    def method(self, asked: str) -> str:
        """As the source's."""
        return self.source.method(asked)

    def rows(self, _calibration: Path | None = None) -> Array:
        """The calibration windows, one behind another, as hops in the graph's layout."""
        return hops(self.windows, self._axis, self._hop)

    def quantized(
        self, x: Array, _method: str, _features: frozenset[str], name: str | None
    ) -> Quantized:
        """The step, calibrated with the window that it was made of. What its experts are asked for
        is counted on the first MOST_HOPS of the hops x.
        """
        graph = replace(self.graph, name=c_name(self.name, name))
        if routed_node(graph) is None:
            return replace(self.window, graph=graph)
        return replace(frozen(graph, quantize_rows(graph, x[:MOST_HOPS])), notes=self.window.notes)

    def shipping(self, step: Graph) -> "Streamed":
        """With the window whose experts are chosen as those of `step`, which a budget moved."""
        window, own, shipped = self.window.graph, routed_node(self.window.graph), routed_node(step)
        if own is None or shipped is None:
            return self
        attrs = replace(shipped.attrs, experts=own.attrs.experts)
        chosen = replace(own, attrs=attrs, params=shipped.params)
        names = shipped.params.values()
        window = window.with_nodes(chosen if n is own else n for n in window.nodes).with_constants(
            {name: step.constants[name] for name in names},
            {name: step.tensors[name] for name in names},
        )
        return replace(self, window=replace(self.window, graph=window))

    def check(self, _graph: Graph, _x: Array, *, anew: bool) -> Check:
        """The trained model against the window's integers."""
        return self.source.check(self.window.graph, self.windows, anew=anew)


Exported = Source | Streamed


def shipped(model: Exported, graph: Graph) -> Exported:
    """The model of an export's final graph: of a stream its window decides as the step does."""
    return model.shipping(graph) if isinstance(model, Streamed) else model


def proven(
    model: Exported, subject: Subject, trained: Check, *, accept: bool = False
) -> list[Check]:
    """`prove_export`, and the proof of a step. Raises Mismatch when that fails, too."""
    checks = prove_export(subject, trained, accept=accept)
    if not isinstance(model, Streamed):
        return checks
    check = check_step(subject.compiled.graph, model.window.graph)
    if not check.passed:
        raise Mismatch(f"stream: {check.said}; a pass is wrong, report it")
    return [*checks, check]


def window_of(folder: Path) -> Graph | None:
    """The window that a stream's export was made of; None of other exports. Raises ModelFile."""
    path = folder / WINDOW
    return stored_graph(path) if path.is_file() else None


def carries(graph: Graph) -> bool:
    """Whether a step's recurrent layers go on where the hop before ended."""
    return any(node.op in CARRYING for node in graph.nodes)


def check_step(step: Graph, window: Graph) -> Check:
    """A step against its window, hop by hop; one that carries its state on against the first of
    each sequence. Experts are chosen for each hop by itself: a `hold` is the firmware's proof.
    """
    step, window = without_hold(step), without_hold(window)
    if carries(step):
        return check_carried(step, window, timing(window).axis)
    return check_stream(step, unpadded(window), timing(window).axis)


def streamed(
    source: Source,
    asked: StreamRequest,
    calibration: Path | None,
    method: str,
    features: frozenset[str],
) -> Streamed:
    """The source taken hop by hop. Raises BadInput for the hop or the rows, UnsupportedOp for
    layers that no stream has.
    """
    period_s = getattr(getattr(source, "model", None), "frame_s", None)
    hop = asked.frames(period_s)
    windows = source.rows(calibration)
    window = source.quantized(windows, method, features, None)
    step = stream(window.graph, hop, asked.lookahead, period_s, asked.carry)
    graph = verify(select_kernels(step, features), "lowered")
    return Streamed(source, windows, window, graph)
