"""Pcen's step: three calls that follow on one another, from states of before, by the op."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from edgeq.ir import Graph, TensorType
from edgeq.kernels import kernel_named
from edgeq.ops import OPS
from edgeq.ops import op as ops
from edgeq.ops.carried import step_of
from edgeq.ops.op import Site
from edgeq.ops.pcen_steps import codes_of
from edgeq.reference import io_of
from tests.audio_cases import AUDIO_CASES
from tests.kernels.differential.case import Call, Case, Const, Out, Pointer, Scratch, Struct
from tests.kernels.differential.log_mel import field
from tests.kernels.samples import Array

CALLS, FRAMES = 3, 2
NAMES = ("pcen", "pcen, a map", "pcen, no loudness")


def step_graph(name: str, wait: int) -> Graph:
    """Of two frames a call."""
    graph = AUDIO_CASES[name]()
    (node,) = graph.nodes
    attrs = step_of(node.attrs, wait)
    samples = attrs.window + (FRAMES - 1) * attrs.hop
    kinds: dict[str, TensorType] = {}
    for end, cells in (("x", samples), ("y", FRAMES)):
        kind = graph.tensors[end]
        axis = 0 if kind.shape[0] > 1 else 1
        shape = tuple(cells if i == axis else n for i, n in enumerate(kind.shape))
        kinds[end] = replace(kind, shape=shape)
    step = replace(node, op="PcenStep", attrs=attrs)
    return graph.with_tensors(kinds).with_nodes([step])


def _states(mels: int) -> Mapping[str, Array]:
    """Smoothed energies (mels,): none, the least, any, the largest that sound gives."""
    rng = np.random.default_rng(mels)
    return {
        "a reset": np.zeros(mels, np.int64),
        "the least": np.ones(mels, np.int64),
        "any": (2.0 ** rng.uniform(0, 61, mels)).astype(np.int64),
        "loud": np.full(mels, 2**61, np.int64),
    }


def _sounds(samples: int) -> Iterator[tuple[str, Array]]:
    rng = np.random.default_rng(samples)
    ends = np.array([-32768, 32767], np.int16)
    yield "codes", rng.integers(-32768, 32768, (CALLS, samples)).astype(np.int16)
    yield "ends", np.stack([np.resize(ends, samples), *rng.choice(ends, (CALLS - 1, samples))])
    yield "quiet", rng.integers(-3, 4, (CALLS, samples)).astype(np.int16)


def cases(kernel: str) -> Iterator[Case]:
    for name in NAMES:
        for wait in (0, 2):
            graph = step_graph(name, wait)
            graph = graph.with_nodes([replace(graph.nodes[0], kernel=kernel)])
            for state, kept in _states(graph.nodes[0].attrs.mels).items():
                for sound, x in _sounds(graph.tensors["x"].size):
                    label = f"{name}, {sound}, from {state}, waits {wait}"
                    yield _case(label, graph, kept, x)


def _case(label: str, graph: Graph, kept: Array, x: Array) -> Case:
    (node,) = graph.nodes
    op, site, kernel = OPS[node.op], Site(graph, node), str(node.kernel)
    assert op.memory is not None
    assert isinstance(op.code, ops.Call)
    start = np.append(codes_of(kept).reshape(-1), 0).astype(np.int16)
    rows = x.reshape(CALLS, *graph.tensors["x"].shape)
    made, last = op.memory.run(node.attrs, io_of(graph, node), (rows,), site.params, start)
    fields = [(name, field(site, value)) for name, value in op.code.fields(site)]
    inner = tuple(v for name, v in fields if name.startswith("sequence.log_mel."))
    own = tuple(v for name, v in fields if name.startswith("sequence.") and ".log_mel." not in name)
    struct = Pointer((Struct((Struct((Struct(inner), *own)), node.attrs.wait)),))
    scratch, state = Scratch(kernel_named(kernel).scratch(graph, node)), Out(last, start)
    calls = tuple(
        Call(kernel, (struct, Const(a), Out(b), state, scratch))
        for a, b in zip(rows, made, strict=True)
    )
    return Case(f"{kernel} {label}", calls)
