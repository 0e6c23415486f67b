"""What is emitted, one case a row: quantised graphs for TensorFlow Lite Micro to be held to.

What a case covers is read off its graph; test_guards.py fails for what the emitter has without one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from edgeq import nn
from edgeq.arrays import model_rows
from edgeq.bench.networks import compiled_network
from edgeq.emit.tflite_ops import LAYERS, NARROW
from edgeq.emit.tflite_signals import TFLITE_SIGNALS
from edgeq.emit.tflite_writer import ACTIVATION
from edgeq.frontend.torch_loader import graph_of
from edgeq.ir import Graph, Quant
from edgeq.kernels import KERNELS
from edgeq.ops import OPS
from edgeq.ops.router import RULES
from edgeq.passes import quantize
from tests import factory, port_graphs
from tests.neighbours import script
from tests.numeric_cases import NUMERIC_CASES
from tests.recurrent_cases import CASES as LSTMS
from tests.recurrent_cases import RECURRENT_CASES
from tests.shape_cases import IMPORTED_FUNCTIONS, SHAPE_CASES
from tests.svdf_cases import SVDF_CASES, svdf_net
from tests.tflite_wide import WIDE_CASES

EXAMPLES = Path(__file__).parents[2] / "examples"
FORMATS = ("s8", *NARROW)
PAD = (1, 1, 1, 1)


def formats_of(op: str) -> list[str]:
    """Weight formats that some kernel of the op takes, and that a .tflite can hold."""
    taken = {row.weight for row in KERNELS if row.op == op}
    return [fmt for fmt in FORMATS if fmt in taken]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def single(
    grow: Callable[[factory.GraphBuilder], object], shape: tuple[int, ...], deviation: int = 0
) -> Graph:
    """One op behind an input; samples spread by `deviation` steps, or over all of int8."""
    samples = rng().integers(-128, 128, (48, *shape), dtype=np.int8)
    if deviation:
        spread = rng().normal(4, deviation, (48, *shape))
        samples = np.clip(np.round(spread), -128, 127).astype(np.int8)
    build = factory.GraphBuilder(rng(), "single", samples, Quant((0.02,), 7))
    grow(build)
    return build.graph()


def weighted(op: str, fmt: str, activation: str) -> Graph:
    if op == "FullyConnected":
        return single(lambda b: b.fully_connected(9, fmt, activation), (37,))
    if op == "Conv2D":
        return single(lambda b: b.conv(5, (3, 3), fmt, activation, padding=PAD), (8, 7, 3))
    return single(lambda b: b.depthwise((3, 3), fmt, activation, (2, 2), PAD), (8, 7, 5))


def in_parts(fmt: str) -> Graph:
    """Groups and dilation, padded as SAME is and otherwise."""

    def grow(build: factory.GraphBuilder) -> None:
        build.conv(6, (3, 3), fmt, padding=(2, 2, 2, 2), dilation=(2, 2), groups=3)
        build.depthwise((3, 2), fmt, "none", padding=(3, 0, 0, 2), dilation=(3, 2))
        build.conv(8, (2, 2), fmt, "relu6", (2, 1), dilation=(1, 3), groups=2)

    return single(grow, (9, 10, 6))


def added(activation: str) -> Graph:
    """A sum of the input and of its convolution."""

    def grow(build: factory.GraphBuilder) -> None:
        build.add(build.input, build.conv(3, (1, 1)), activation)

    return single(grow, (5, 4, 3))


def from_torch(make: Callable[[], nn.Model], rows: int = 40) -> Graph:
    """A PyTorch model with random weights, calibrated on random rows and quantised."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make()
    x = rng().normal(size=(rows, *model.input_shape)).astype(np.float32)
    model.calibrate(x)
    return quantized(model)


def quantized(model: nn.Model) -> Graph:
    """As an export would, on the model's calibration rows."""
    assert model.calibration is not None
    rows = model_rows(model.calibration, model.input_shape, "the calibration rows")
    return quantize(graph_of(model), rows, "mse", frozenset()).graph


def image_net() -> nn.Model:
    """Every layer of images."""
    inner = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.BatchNorm2d(6), nn.ReLU6())
    body = nn.Sequential(
        *(nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()),
        *(nn.Residual(inner), nn.MaxPool2d(2), nn.AvgPool2d((2, 1)), nn.Conv2d(6, 7, 1, kind=4)),
        *(nn.ReLU(), nn.GlobalAvgPool(), nn.Flatten(), nn.Dropout(0.1)),
        *(nn.Linear(7, 9, "ternary"), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 4), nn.Softmax()),
    )
    return nn.Model(body, (2, 8, 7), name="images")


def activation_net() -> nn.Model:
    """Every function of one number, behind a convolution each."""
    pairs = ((nn.Conv2d(3, 3, 1), cls()) for cls in nn.ACTIVATIONS)
    body = nn.Sequential(*(m for pair in pairs for m in pair), nn.Flatten(), nn.Linear(36, 4))
    return nn.Model(body, (3, 4, 3), name="activations")


def signal_net() -> nn.Model:
    """A convolution over time."""
    body = nn.Sequential(
        *(nn.Conv1d(2, 5, 5, stride=2, padding=2), nn.ReLU(), nn.Conv1d(5, 6, 3, kind=4)),
        *(nn.ReLU(), nn.Flatten(), nn.Linear(6 * 6, 8), nn.LayerNorm(8), nn.ReLU()),
        nn.Linear(8, 3),
    )
    return nn.Model(body, (2, 16), name="signal")


def of_kind(kind: str) -> nn.Model:
    """A layer of each sort with weights of that kind."""
    body = nn.Sequential(
        *(nn.Conv2d(2, 5, 3, kind=kind), nn.ReLU(), nn.Flatten(), nn.Linear(20, 7, kind)),
        *(nn.ReLU(), nn.Linear(7, 3)),
    )
    return nn.Model(body, (2, 4, 4))


def trunk_mixture() -> nn.Model:
    """A trunk that all experts share, behind a plain router."""
    trunk = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten())
    kinds = ("ternary", 8)
    experts = [nn.Sequential(nn.Linear(64, 6, k), nn.ReLU(), nn.Linear(6, 3)) for k in kinds]
    router = nn.PlainRouter(64, 2, hidden=(6, 5))
    return nn.Model(nn.TrunkMixture(trunk, nn.Mixture(experts, router, kinds)), (1, 4, 4))


def paper_mixture() -> nn.Model:
    """The paper's shape in small: one block for all, the router sees the raw input."""
    body = nn.paper_mixture(shared_trunk=True, in_features=24, hidden=(12, 8), passes=4)
    return nn.Model(body, (24,))


def delay_net() -> nn.Model:
    """Frames beside those before them, and a norm that is compared op by op."""
    before = nn.Residual(nn.Delay())
    body = nn.Sequential(
        *(nn.Linear(6, 8), nn.ReLU(), before, nn.LayerNorm(8), nn.Linear(8, 4), nn.Delay())
    )
    return nn.Model(body, (6,), name="frames")


def cascade_net() -> nn.Model:
    """Three experts behind a trunk of their own kinds."""
    trunk = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten())
    experts = [
        nn.Sequential(nn.Linear(64, 6, kind), nn.ReLU(), nn.Linear(6, 3))
        for kind in ("ternary", "int4", "int8")
    ]
    return nn.Model(nn.Cascade(experts, trunk=trunk, escalate=0.5), (1, 4, 4), name="cascade")


def ends_net() -> nn.Model:
    """Two inputs and two outputs."""
    image = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten())
    heads = {"classes": nn.Linear(8, 3), "bright": nn.Linear(8, 2)}
    body = nn.Sequential(
        nn.Inputs({"left": nn.Linear(6, 5), "image": image}),
        *(nn.Linear(41, 8), nn.ReLU(), nn.Outputs(heads)),
    )
    return nn.Model(body, {"left": (6,), "image": (2, 4, 3)}, name="ends")


def exit_net() -> nn.Model:
    """Exits at three depths of one network."""
    blocks = [nn.Sequential(nn.Conv2d(c, 4, 3, padding=1), nn.ReLU()) for c in (1, 4, 4)]
    heads = [nn.Sequential(nn.GlobalAvgPool(), nn.Linear(4, 3)) for _ in blocks]
    *exits, (block, head) = zip(blocks, heads, strict=True)
    stages = [nn.Exit(*each) for each in exits]
    body = nn.Cascade([*stages, nn.Sequential(block, head)], escalate=0.5, names=["a", "b", "c"])
    return nn.Model(body, (1, 4, 4), name="exits")


def example(folder: str, module: str) -> ModuleType:
    """A script of examples/, without leaving its folder on the path."""
    with script(EXAMPLES / folder, module) as found:
        return found


def digits() -> Graph:
    """The example's network untrained: training changes its numbers alone."""
    made = example("digits", "train")
    return from_torch(lambda: nn.Model(made.network(), made.SHAPE))


def esc10() -> Graph:
    """The stored checkpoint."""
    return quantized(nn.load(EXAMPLES / "esc10" / "checkpoint.pt"))


def cascades() -> Graph:
    """A half-wide network and the whole one, as they are scored there; untrained."""
    made = example("esc10", "train")

    def build() -> nn.Model:
        shape = nn.load(EXAMPLES / "esc10" / "checkpoint.pt").input_shape
        whole = nn.Model(nn.Sequential(made.trunk(), made.expert("int8")), shape)
        return nn.Model(nn.Cascade([nn.narrowed(whole, 0.5, seed=0), whole], escalate=0.5), shape)

    return from_torch(build)


def paper_size(kind: str) -> Graph:
    graph: Graph = example("paper_size", "paper_size").lowered(kind)[0]
    return graph


def _singles() -> Iterator[tuple[str, Callable[[], Graph]]]:
    for op in ("FullyConnected", "Conv2D", "DepthwiseConv2D"):
        for fmt in formats_of(op):
            yield f"{op}-{fmt}", partial(weighted, op, fmt, "none")
        for activation in ("relu", "relu6"):
            yield f"{op}-{activation}", partial(weighted, op, "s8", activation)
    for activation in ACTIVATION:
        yield f"add-{activation}", partial(added, activation)
        norm = partial(factory.GraphBuilder.layer_norm, activation=activation)
        yield f"layer-norm-{activation}", partial(single, norm, (13,))
    for activation in ("relu", "relu6"):
        relu = partial(factory.GraphBuilder.relu, activation=activation)
        yield f"relu-{activation}", partial(single, relu, (10,))
    for deviation in (1, 3, 10):
        norm = factory.GraphBuilder.layer_norm
        yield f"layer-norm-deviation-{deviation}", partial(single, norm, (320,), deviation)
    for op in (*(cls.op for cls in nn.ACTIVATIONS), *IMPORTED_FUNCTIONS):
        grow = partial(factory.GraphBuilder.activation, op=op)
        yield op, partial(single, grow, (6, 5, 3))
    yield "softmax", partial(single, factory.GraphBuilder.softmax, (10,))
    for classes in (2, 12, 60):
        grow = factory.GraphBuilder.softmax_q31
        yield f"softmax-q31-{classes}", partial(single, grow, (classes,))
    for kernel, padding, activation in (
        ((2, 2), (0, 0, 0, 0), "none"),
        ((3, 3), PAD, "relu"),
        ((6, 4), (0, 0, 0, 0), "relu6"),
        ((3, 2), (1, 0, 1, 1), "none"),
    ):
        grow = partial(
            factory.GraphBuilder.mean_pool,
            kernel=kernel,
            stride=(1, 1),
            padding=padding,
            activation=activation,
        )
        yield f"mean-pool-{kernel}", partial(single, grow, (6, 4, 3))
    yield from SHAPE_CASES.items()
    yield from NUMERIC_CASES.items()
    yield from (*((name, RECURRENT_CASES[name]) for name in LSTMS), *SVDF_CASES.items())
    yield from WIDE_CASES.items()
    yield "reshape", partial(single, factory.GraphBuilder.flatten, (3, 2, 4))
    for padding in ((0, 0, 0, 0), PAD, (0, 1, 0, 0)):
        pool = partial(factory.GraphBuilder.max_pool, kernel=(3, 3), stride=(2, 2), padding=padding)
        yield f"max-pool-{padding}", partial(single, pool, (7, 6, 3))
    for kernel in ((2, 2), (3, 1), (6, 4)):
        pool = partial(factory.GraphBuilder.average_pool, kernel=kernel, stride=(1, 1))
        yield f"average-pool-{kernel}", partial(single, pool, (6, 4, 3))


def _graphs() -> Iterator[tuple[str, Callable[[], Graph]]]:
    mixture = factory.mixture_graph
    for fmt in ("s8", "s4"):
        yield f"Conv2D-parts-{fmt}", partial(in_parts, fmt)
    for seed in (0, 1):
        yield f"fc_graph-{seed}", lambda s=seed: factory.fc_graph(rng(s), softmax=bool(s))
        yield f"conv_graph-{seed}", lambda s=seed: factory.conv_graph(rng(s))
    for rule in RULES:
        yield f"mixture_graph-{rule}", lambda r=rule: mixture(rng(0), rule=r)
    for top_k in (1, 2, 3):
        gated = partial(mixture, gate="probability", top_k=top_k)
        yield f"mixture_graph-gate-top-{top_k}", lambda g=gated: g(rng(1))
    for formats in (("s4",), ("t2", "s8"), ("b1", "s2", "s3", "s8")):
        yield f"mixture_graph-{len(formats)}", lambda f=formats: mixture(rng(2), formats=f)
    for trunk in ("fc", "conv"):
        yield f"mixture_graph-trunk-{trunk}", lambda t=trunk: mixture(rng(1), trunk=t)
    yield "mixture_graph-plain", lambda: mixture(rng(2), kind="plain", rule="off")
    yield "smallest_mixture", factory.smallest_mixture
    for formats in (("t2", "s8"), ("s4", "s8", "s8")):
        yield f"cascade_graph-{len(formats)}", lambda f=formats: factory.cascade_graph(rng(4), f)
    yield "cascade_graph-trunk", lambda: factory.cascade_graph(rng(1), trunk="conv")
    yield "cascade_graph-always", lambda: factory.cascade_graph(rng(1), thresholds=[256])
    for signal in ("entropy", "monte_carlo", "ensemble", "router"):
        make = partial(factory.cascade_graph, signal=signal)
        yield f"cascade_graph-{signal}", lambda f=make: f(rng(4))
    yield "smallest_cascade", factory.smallest_cascade
    for make in (port_graphs.two_inputs, port_graphs.two_by_two):
        yield make.__name__, make
    for make in (port_graphs.with_delay, port_graphs.with_history):
        yield make.__name__, make
    for make in (port_graphs.wide_input, port_graphs.wide_delay, port_graphs.of_ids):
        yield make.__name__, make


CASES: Mapping[str, Callable[[], Graph]] = dict([*_singles(), *_graphs()])


MODELS: Mapping[str, Callable[[], nn.Model]] = {
    "images": image_net,
    "signal": signal_net,
    "activations": activation_net,
    "trunk-mixture": trunk_mixture,
    "paper-mixture": paper_mixture,
    "delays": delay_net,
    "cascade": cascade_net,
    "exits": exit_net,
    "ends": ends_net,
    "lstm": lambda: nn.Model(nn.Sequential(nn.LSTM(5, 6), nn.LSTM(6, 4, last=True)), (5, 8)),
    "svdf": svdf_net,
    # 16-bit weights have no .tflite
    **{f"kind-{k.name}": partial(of_kind, k.name) for k in nn.KINDS.values() if k.token != "s16"},
}


def network(name: str, kind: str) -> Graph:
    """One of examples/networks, as it is measured there."""
    return compiled_network(name, kind, frozenset())[0].graph


# Folders whose networks have the layers of another's, with other weights.
ALIKE = {
    "convolutions": "networks",
    "imports": "networks",
    "paper_claims": "esc10",
    "plans": "digits",
    "quantizers": "digits",
    "search": "digits",
}
EXAMPLE_CASES: Mapping[str, Callable[[], Graph]] = {
    **{f"networks-{name}": partial(network, name, "int8") for name in ("ad", "kws", "sww")},
    "cascades": cascades,
    "digits": digits,
    "esc10": esc10,
    **{f"paper_size-{kind}": partial(paper_size, kind) for kind in ("ternary", "int4", "int8")},
}


def covered(graph: Graph) -> set[tuple[str, ...]]:
    """What a graph has of the emitter's kinds, experts included."""
    found: set[tuple[str, ...]] = set()
    for node in graph.nodes:
        attrs = node.attrs
        found.add(("op", node.op))
        for name in ("weight_format", "activation"):
            if hasattr(attrs, name):
                found.add((name, node.op, getattr(attrs, name)))
        if node.op == "Mixture":
            found |= {("rule", attrs.router.rule), ("router", attrs.router.kind)}
            found.add(("gate", attrs.gate, "sum" if attrs.top_k > 1 else "one"))
            found |= set().union(*(covered(e.graph) for e in attrs.experts))
        if node.op == "Cascade":
            found.add(("signal", attrs.signal))
    return found


NO_TFLITE = {"BlockFullyConnected", "Gru", "LogMel", "Mfcc", "Mgu", "Pcen"}  # refused by name


def emitted_kinds() -> set[tuple[str, ...]]:
    """What the emitter's own tables say that it can write."""
    ops = LAYERS.keys() - NO_TFLITE
    found: set[tuple[str, ...]] = {("op", "Mixture"), *(("op", op) for op in ops)}
    for op in ops:
        names = {f.name for f in fields(OPS[op].attrs)}
        if "weight_format" in names:
            found |= {("weight_format", op, fmt) for fmt in formats_of(op)}
        if "activation" in names:
            found |= {("activation", op, a) for a in ACTIVATION if (op, a) != ("Relu", "none")}
    found |= {("rule", rule) for rule in RULES} | {("router", k) for k in ("bayesian", "plain")}
    found |= {("signal", signal) for signal in TFLITE_SIGNALS}
    return (
        found
        | {("gate", "probability", "sum"), ("gate", "probability", "one")}
        | {("gate", "none", "one")}
    )
