"""The output of every layer of a firmware while it runs, beside the reference's.

A wrong rounding in one layer rarely shows in the last one's few outputs. So the twin stops at the
entry of each kernel: there the layer before it has written its output, and nothing has reused it.
There it can also feed the layer with other codes (drills.py) than the layers before it left.
A layer in bands or parts, or with weights in RAM, begins where its function does, and calls its
kernel for every one.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from capstone import arm  # type: ignore[import-untyped]

from edgeq.emit.firmware_bands import bands_symbol, staged_symbol
from edgeq.emit.firmware_layers import Layer, mixture_of
from edgeq.emit.firmware_parts import parts_symbol
from edgeq.estimating.routes import follows_on
from edgeq.ir import Graph, Node
from edgeq.ops import OPS
from edgeq.ops.op import ANY_NUMBER, Array
from edgeq.prove.drills import Drills
from edgeq.prove.trials import Trial, ran, stands_alone
from edgeq.reference import State, run
from edgeq.sim import Machine
from edgeq.sim.any_machine import AnyMachine

Tensor = tuple[str, str]  # (expert or "", the tensor's name)
Expected = Mapping[Tensor, bytes]
ARGUMENTS = (arm.ARM_REG_R0, arm.ARM_REG_R1, arm.ARM_REG_R2, arm.ARM_REG_R3)


@dataclass(frozen=True)
class Difference:
    """The first layer of an inference whose bytes are not the reference's."""

    layer: str
    wrong: int
    size: int

    @property
    def said(self) -> str:
        return f"layer {self.layer}: {self.wrong} of {self.size} values are not the reference's"


@dataclass(frozen=True)
class _Pending:
    layer: Layer
    address: int  # of its output
    wanted: bytes
    in_calls: bool  # of its kernel: more than one


class WatchedLayers:
    """Compares each layer's output bytes as it is done; `layers` are those it can tell."""

    def __init__(self, machine: AnyMachine, layers: Sequence[Layer]) -> None:
        self._machine = machine
        if isinstance(machine, Machine):
            self._arguments = [machine.register_reader(number) for number in ARGUMENTS]
        else:
            self._arguments = machine.argument_readers()[: len(ARGUMENTS)]
        self._by_params = dict(_params(machine, layers))
        self._expected: Expected = {}
        self._drills: Drills | None = None
        self._pending: _Pending | None = None
        self._found: Difference | None = None
        self._failed: BaseException | None = None
        for kernel, entries in _entries(machine, self._by_params.values()).items():
            machine.on_entry(entries, partial(self._noting, partial(self._kernel, kernel)))
        for layer in self._by_params.values():
            own = bands_symbol(layer), staged_symbol(layer), parts_symbol(layer)
            begins = [machine.symbols[s] for s in own if s in machine.symbols]
            machine.on_entry(begins, partial(self._noting, partial(self._in_calls, layer)))

    @property
    def layers(self) -> Collection[Layer]:
        return self._by_params.values()

    def begin(self, expected: Expected | Drills) -> None:
        """What the next inference should compute, or what its layers are fed with."""
        self._drills = expected if isinstance(expected, Drills) else None
        self._expected = {} if isinstance(expected, Drills) else expected
        self._pending = self._found = None

    def finish(self) -> Difference | None:
        """After the inference: the first layer that differs."""
        self._compare()
        if self._failed is not None:
            raise self._failed
        return self._found

    def _noting(self, entered: Callable[[], None]) -> None:
        try:
            entered()
        except BaseException as error:  # C would swallow it
            self._failed = self._failed or error

    def _kernel(self, name: str) -> None:
        arguments = [read() for read in self._arguments]
        layer, running = self._by_params.get(arguments[0]), self._pending
        if layer is None and running and running.in_calls and running.layer.info.kernel == name:
            return  # one of its calls
        self._compare()
        if layer is not None:
            self._begin(layer, arguments, in_calls=False)

    def _in_calls(self, layer: Layer) -> None:
        self._compare()
        self._begin(layer, [0, *(read() for read in self._arguments)], in_calls=True)

    def _begin(self, layer: Layer, arguments: Sequence[int], in_calls: bool) -> None:
        """`arguments` of its kernel, were it one call."""
        wanted = self._wanted(layer, arguments)
        if wanted is not None:
            address = arguments[_output_place(layer.node)]
            self._pending = _Pending(layer, address, wanted, in_calls)

    def _wanted(self, layer: Layer, arguments: Sequence[int]) -> bytes | None:
        """The output of the layer that begins; in a drill, on what it is fed with now."""
        if self._drills is None:
            return self._expected.get((layer.info.expert or "", layer.node.outputs[0]))
        fed = self._drills.next(layer)
        if fed is None:
            return None
        places = arguments[1 : 1 + len(fed.inputs)]
        if OPS[layer.node.op].arity == ANY_NUMBER:
            pointers = self._machine.read(arguments[1], 4 * len(fed.inputs))
            places = np.frombuffer(pointers, "<u4").tolist()
        for address, data in zip(places, fed.inputs, strict=True):
            self._machine.write(address, data)
        return fed.output

    def _compare(self) -> None:
        done, self._pending = self._pending, None
        if done is None or self._found is not None:
            return
        wanted = done.wanted
        said = np.frombuffer(self._machine.read(done.address, len(wanted)), np.uint8)
        wrong = int((said != np.frombuffer(wanted, np.uint8)).sum())
        if wrong:
            info = done.layer.info
            named = f"{info.expert}/{info.name}" if info.expert else info.name
            self._found = Difference(f"{named} ({info.kernel})", wrong, len(wanted))


def _output_place(node: Node) -> int:
    """Which argument of its kernel the output is; any number of inputs are one."""
    return 2 if OPS[node.op].arity == ANY_NUMBER else 1 + len(node.inputs)


def _params(machine: AnyMachine, layers: Sequence[Layer]) -> Iterator[tuple[int, Layer]]:
    """Layers by the address of their parameters, which each call of their kernel is given."""
    for layer in layers:
        symbol = f"layer_{layer.info.index}"
        told = layer.part == "node" and _output_place(layer.node) < len(ARGUMENTS)
        if told and symbol in machine.symbols:
            yield machine.symbol(symbol), layer


def _entries(machine: AnyMachine, layers: Iterable[Layer]) -> dict[str, list[int]]:
    """Where the kernels of these layers begin; their names carry a version in an export."""
    entries: dict[str, list[int]] = {layer.info.kernel: [] for layer in layers}
    ends = re.compile(r"_[0-9a-f]{8}$")
    for name, at in sorted(machine.symbols.items()):
        if (kernel := ends.sub("", name)) in entries:
            entries[kernel].append(at)
    return entries


def expected_of(graph: Graph, asked: Sequence[Trial]) -> list[Expected]:
    """For each trial every quantised tensor that its inference computes, by the reference; with a
    state all trials are a sequence from a reset.
    """
    if follows_on(graph):
        return list(_one_by_one(graph, asked))
    found: list[Expected] = [{}] * len(asked)
    for forced in dict.fromkeys(trial.forced for trial in asked):
        at = [i for i, trial in enumerate(asked) if trial.forced == forced]
        rows = np.stack([asked[i].row for i in at])
        whole = _all_values(graph, ran(graph, rows, forced).values)
        for n, i in enumerate(at):
            found[i] = _of_row(graph, asked[i], whole, n)
    return found


def _one_by_one(graph: Graph, asked: Sequence[Trial]) -> Iterator[Expected]:
    """Of experts beside a state: a trial that stands alone has a reset before and behind it."""
    state: State | None = None
    for trial in asked:
        alone = stands_alone(graph, trial)
        answered = ran(graph, trial.row[None], trial.forced, None if alone else state)
        state = None if alone else answered.state
        yield _of_row(graph, trial, _all_values(graph, answered.values), 0)


def _of_row(graph: Graph, trial: Trial, whole: Mapping[Tensor, Array], at: int) -> Expected:
    names = set(_experts(graph, trial))
    return {
        name: np.ascontiguousarray(values[at]).tobytes()
        for name, values in whole.items()
        if name[0] in names and values.dtype in (np.int8, np.int16)
    }


def _experts(graph: Graph, trial: Trial) -> Iterator[str]:
    """The owners whose layers run: the shared ones, and the route's experts."""
    yield ""
    node = mixture_of(graph)
    if node is not None:
        yield from (node.attrs.experts[i].name for i in trial.experts)


def _all_values(graph: Graph, main: Mapping[str, Array]) -> dict[Tensor, Array]:
    """(rows, *shape) of each tensor: of the main graph, which ran, and of every expert."""
    values: dict[Tensor, Array] = {("", name): each for name, each in main.items()}
    node = mixture_of(graph)
    if node is None:
        return values
    given = main[node.inputs[0]]
    for expert in node.attrs.experts:
        inside = run(expert.graph, given).values
        given = expert.handed_on(given, inside)
        values.update({(expert.name, name): each for name, each in inside.items()})
    return values
