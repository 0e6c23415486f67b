"""The audio front ends on random codes, real sound and the loudest sounds there are."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from edgeq.ir import Graph
from edgeq.kernels import kernel_named
from edgeq.ops import OPS
from edgeq.ops import op as ops
from edgeq.ops.op import Site
from edgeq.reference import quantize_rows, run
from tests.audio_cases import AUDIO_CASES, FINE_CASES, rows_of
from tests.kernels.differential.case import (
    Call,
    Case,
    Const,
    Field,
    Long,
    Out,
    Pointer,
    Scratch,
    Struct,
)
from tests.kernels.samples import Array


def sounds(name: str, graph: Graph) -> Mapping[str, Array]:
    """int16 (samples,) each."""
    samples = graph.tensors["x"].size
    rng = np.random.default_rng(samples)
    ends = np.array([-32768, 32767], np.int16)
    recorded = quantize_rows(graph, rows_of(name)).reshape(-1, samples)
    return {
        "codes": rng.integers(-32768, 32768, samples).astype(np.int16),
        "ends": rng.choice(ends, samples),
        "lowest": np.full(samples, -32768, np.int16),
        "alternating": np.resize(ends, samples),
        "slow": np.resize(np.repeat(ends, 8), samples),
        "loud": recorded[0],
        "quiet": recorded[-1],
        "nothing": np.zeros(samples, np.int16),
    }


def case(kernel: str, name: str, sound: str, graph: Graph, x: Array) -> Case:
    (node,) = graph.nodes
    site, code = Site(graph, node), OPS[node.op].code
    assert isinstance(code, ops.Call)
    own = [field(site, v) for name, v in code.fields(site) if not name.startswith("log_mel.")]
    inner = [field(site, v) for name, v in code.fields(site) if name.startswith("log_mel.")]
    fields = (Struct(tuple(inner)), *own) if inner else tuple(own)
    kind = graph.tensors["x"]
    wanted = run(graph, x.reshape(1, *kind.shape)).values["y"][0]
    scratch = Scratch(kernel_named(kernel).scratch(graph, node))
    given = (Pointer((Struct(fields),)), Const(x), Out(wanted), scratch)
    return Case(f"{kernel} {name}, {sound}", (Call(kernel, given),))


def field(site: Site, value: object) -> Field:
    """A struct's member."""
    if isinstance(value, ops.Pointer):
        return Const(site.param(value.role))
    return Long(int(value)) if isinstance(value, np.int64) else int(np.asarray(value))


def cases(kernel: str) -> Iterator[Case]:
    """Of every graph that has the kernel's op."""
    for name, make in {**AUDIO_CASES, **FINE_CASES}.items():
        graph = make()
        if graph.nodes[0].op != kernel_named(kernel).op:
            continue
        graph = graph.with_nodes(replace(n, kernel=kernel) for n in graph.nodes)
        for sound, x in sounds(name, graph).items():
            yield case(kernel, name, sound, graph, x)
