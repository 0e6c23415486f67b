"""The calls of a model as finished C lines: which kernel reads and writes which bytes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from edgeq.emit.firmware_bands import bands_symbol, staged_symbol
from edgeq.emit.firmware_layers import GATE_KERNEL, Layer, mixture_of
from edgeq.emit.firmware_parts import parts_symbol, runs_in_parts
from edgeq.ir import Graph, Node
from edgeq.kernels import kernel_named
from edgeq.memory import (
    ACCUMULATOR,
    EXPERT_OUTPUT,
    EXPERT_REGION,
    SCRATCH,
    STAGED,
    MemoryPlan,
    port_of,
)
from edgeq.ops import OPS
from edgeq.ops.cascade import THRESHOLDS
from edgeq.ops.op import ANY_NUMBER, Site
from edgeq.ops.router import numerator_per_step
from edgeq.ops.router_constants import router_fields
from edgeq.ops.signals import Signal


@dataclass(frozen=True)
class ExpertCode:
    """One expert's function: its layers' calls, and whether they name the instance."""

    symbol: str
    comment: tuple[str, ...]
    calls: tuple[str, ...]
    uses_context: bool


@dataclass(frozen=True)
class GateCode:
    """The weighted sum of the chosen experts."""

    start_call: str
    expert_output: str
    accumulate_call: str
    finish_call: str


@dataclass(frozen=True)
class EscalationCode:
    """A threshold that moves at run time: `constants` of the router's struct, in which it stands
    with the export's; a step of the uncertainty as the device tells it is `step` of U; `precise`:
    the expert that answers above it.
    """

    constants: tuple[str, ...]
    step: int
    precise: int


@dataclass(frozen=True)
class HoldCode:
    """`counts`: where the state has the rows that are still to be escalated; `rows`: how many."""

    counts: str
    rows: int


@dataclass(frozen=True)
class MixtureCode:
    top_k: int
    input: str
    output: str
    route_call: str
    experts: tuple[ExpertCode, ...]
    gate: GateCode | None
    escalation: EscalationCode | None
    hold: HoldCode | None


@dataclass(frozen=True)
class CascadeCode:
    """`signal_call` gives the signal; `heads`: where each stage keeps what it reads, none where
    that is the output; `goes_on` is the C comparison that sends a row on; a value shifted left by
    `report_shift` is Q8.24.
    """

    input: str
    output: str
    signal_call: str
    heads: tuple[str, ...]
    goes_on: str
    signal_words: str
    report_shift: int
    experts: tuple[ExpertCode, ...]
    carried: tuple[str, ...]  # where each stage but the first finds its input, where they are exits
    thresholds: tuple[int, ...]
    hold: HoldCode | None


@dataclass(frozen=True)
class Places:
    """C expressions for the tensors of a graph; `owner` is its expert's name or ""."""

    plan: MemoryPlan
    arena: Mapping[tuple[str, str], str]  # (owner, buffer) -> where it begins
    macro: str
    owner: str = ""
    wide: frozenset[str] = frozenset()  # int16 tensors
    state: Mapping[str, str] = field(default_factory=dict)  # node -> where it keeps its memory

    def tensor(self, name: str) -> str:
        at = self.plan.offsets.get(name, 0)
        return f"{self._place(name)} + {at}" if at else self._place(name)

    def _place(self, name: str) -> str:
        place = self.plan.places[name]
        port = port_of(place)
        if port is None and name in self.wide:
            return f"context->arena.halves + {self.symbol(place)} / 2"
        if port is None:
            return self.buffer(place)
        side, member = port
        return f"{side}s->{member}" if member else side

    def buffer(self, name: str) -> str:
        return f"context->arena.bytes + {self.symbol(name)}"

    def symbol(self, name: str) -> str:
        return self.arena[self.owner, name]

    def scratch(self, node: Node) -> str:
        """NULL where the kernel asks for none."""
        wanted = {node.name + SCRATCH, node.name + EXPERT_REGION}
        name = next((b.name for b in self.plan.buffers if b.name in wanted), None)
        return self.buffer(name) if name else "NULL"

    def timed(self, layer: Layer, call: str) -> str:
        return f"{self.macro}_LAYER({layer.info.index}, {call});"

    def of_expert(self, name: str, plan: MemoryPlan) -> "Places":
        return Places(plan, self.arena, self.macro, name)


def graph_calls(places: Places, layers: tuple[Layer, ...]) -> dict[str, str]:
    """Node name -> call, in order, of the own layers of the graph whose places these are."""
    own = [x for x in layers if x.part == "node" and (x.info.expert or "") == places.owner]
    return {x.node.name: places.timed(x, _node_call(x, places)) for x in own}


def _node_call(layer: Layer, places: Places) -> str:
    node = layer.node
    inputs = [places.tensor(name) for name in node.inputs]
    scratch = [places.scratch(node)] if kernel_named(layer.info.kernel).takes_scratch else []
    if runs_in_parts(layer):
        ends = f"{inputs[0]}, {places.tensor(node.outputs[0])}, {places.scratch(node)}"
        return f"{parts_symbol(layer)}({ends})"
    in_bands = node.name in places.plan.bands
    if in_bands or node.staged:
        symbol = bands_symbol(layer) if in_bands else staged_symbol(layer)
        staged = [places.buffer(node.name + STAGED)] if node.staged else []
        ends = ", ".join([*inputs, places.tensor(node.outputs[0]), *scratch, *staged])
        return f"{symbol}({ends})"
    if OPS[node.op].arity == ANY_NUMBER:
        inputs = [f"(const int8_t *const[]){{{', '.join(inputs)}}}"]
    arguments = [f"&layer_{layer.info.index}", *inputs, places.tensor(node.outputs[0])]
    if OPS[node.op].memory is not None:
        arguments.append(f"context->state.bytes + {places.state[node.name]}")
    return f"{layer.info.kernel}({', '.join([*arguments, *scratch])})"


def split_calls(graph: Graph, calls: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Calls before and after the mixture or cascade; all of them "before" where there is none."""
    names = [node.name for node in graph.nodes]
    node = mixture_of(graph)
    before = names[: names.index(node.name)] if node else names
    return {
        "calls_before": tuple(calls[n] for n in before if n in calls),
        "calls_after": tuple(calls[n] for n in names if n in calls and n not in before),
    }


def mixture_code(graph: Graph, places: Places, layers: tuple[Layer, ...]) -> MixtureCode | None:
    """The router's call, the table of experts and their weighted sum; None without a mixture."""
    node = mixture_of(graph)
    if node is None or node.op != "Mixture":
        return None
    expert_input, router_input = (places.tensor(name) for name in node.inputs)
    router = next(x for x in layers if x.part == "router")
    moves = escalates(node)
    constants = "rule" if moves else "router"
    scratch = places.scratch(node)
    call = f"{router.info.kernel}(&{constants}, {router_input}, &routing, {scratch})"
    return MixtureCode(
        node.attrs.top_k,
        expert_input,
        places.tensor(node.outputs[0]),
        places.timed(router, call),
        tuple(_experts(node, places, layers)),
        _gate_code(node, places, layers),
        _escalation_code(graph, node) if moves else None,
        _hold_code(node, places),
    )


def _hold_code(node: Node, places: Places) -> HoldCode | None:
    if not node.attrs.hold:
        return None
    return HoldCode(f"context->state.halves + {places.state[node.name]} / 2", node.attrs.hold)


def escalates(node: Node) -> bool:
    """Whether a mixture sends rows to its most precise expert above a threshold."""
    router = node.attrs.router
    return bool(router.rule == "escalation" and router.kind == "bayesian")


def _escalation_code(graph: Graph, node: Node) -> EscalationCode:
    names = tuple(name for name, _ in router_fields(Site(graph, node)))
    step = numerator_per_step(node.attrs.router.passes)
    return EscalationCode(names, step, int(graph.param(node, "router.precise")[0]))


def cascade_code(graph: Graph, places: Places, layers: tuple[Layer, ...]) -> CascadeCode | None:
    """The table of experts and what decides between them; None without a cascade."""
    node = mixture_of(graph)
    if node is None or node.op != "Cascade":
        return None
    signal = next(x for x in layers if x.part == "signal")
    output = places.tensor(node.outputs[0])
    heads = tuple(_kept_places(node, places, "heads"))
    read = "context->arena.bytes + heads[stage]" if heads else output
    call = f"context->signal = {signal.info.kernel}(&signal, {read})"
    return CascadeCode(
        places.tensor(node.inputs[0]),
        output,
        places.timed(signal, call),
        heads,
        ">" if node.attrs.rule.doubt else "<",
        _signal_words(node.attrs.rule),
        24 - node.attrs.rule.fraction_bits,
        tuple(_experts(node, places, layers)),
        tuple(_kept_places(node, places, "carry")),
        tuple(int(t) for t in graph.param(node, THRESHOLDS)),
        _hold_code(node, places),
    )


def _kept_places(node: Node, places: Places, what: str) -> Iterator[str]:
    """Offsets in the arena of the experts' "heads" or "carry"."""
    for expert, plan in zip(node.attrs.experts, places.plan.experts, strict=True):
        tensor = getattr(expert, what)
        if tensor:
            yield places.of_expert(expert.name, plan).symbol(plan.places[tensor])


def _signal_words(rule: Signal) -> str:
    return f"{rule.name} {'above' if rule.doubt else 'below'} this"


def _experts(node: Node, places: Places, layers: tuple[Layer, ...]) -> list[ExpertCode]:
    codes = []
    for i, (expert, plan) in enumerate(zip(node.attrs.experts, places.plan.experts, strict=True)):
        own = [x.info for x in layers if x.info.expert == expert.name]
        macs, size = sum(x.macs for x in own), sum(x.weight_bytes for x in own)
        calls = tuple(graph_calls(places.of_expert(expert.name, plan), layers).values())
        about = f"{expert.weight_format} weights, {macs} MACs, {size} bytes of constants."
        uses = "context" in " ".join(calls)
        codes.append(ExpertCode(f"expert_{i}", (f"Expert {i}: {about}",), calls, uses))
    return codes


def _gate_code(node: Node, places: Places, layers: tuple[Layer, ...]) -> GateCode | None:
    if node.attrs.gate == "none":
        return None
    gate = next(x for x in layers if x.part == "gate")
    total = f"context->arena.words + {places.symbol(node.name + ACCUMULATOR)} / 4"
    expert_output = places.buffer(node.name + EXPERT_OUTPUT)
    weight = "context->gates[context->chosen[k]]"
    add = f"edgeq_gate_accumulate_s8(&gate, {weight}, {expert_output}, {total})"
    return GateCode(
        places.timed(gate, f"edgeq_gate_start_s8(&gate, {total})"),
        expert_output,
        places.timed(gate, add),
        places.timed(gate, f"{GATE_KERNEL}(&gate, {total}, {places.tensor(node.outputs[0])})"),
    )
