"""The audio front end on random codes, real sound and the loudest sounds there are."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from edgeq.ir import Graph
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
    site, code = Site(graph, node), OPS["LogMel"].code
    assert isinstance(code, ops.Call)
    fields: list[Field] = []
    for _, value in code.fields(site):
        if isinstance(value, ops.Pointer):
            fields.append(Const(site.param(value.role)))
        else:
            fields.append(
                Long(int(value)) if isinstance(value, np.int64) else int(np.asarray(value))
            )
    kind = graph.tensors["x"]
    wanted = run(graph, x.reshape(1, *kind.shape)).values["y"][0]
    scratch = Scratch(8 * (node.attrs.fft // 2 + 1))
    given = (Pointer((Struct(tuple(fields)),)), Const(x), Out(wanted), scratch)
    return Case(f"{kernel} {name}, {sound}", (Call(kernel, given),))


def cases(kernel: str) -> Iterator[Case]:
    for name, make in {**AUDIO_CASES, **FINE_CASES}.items():
        graph = make()
        graph = graph.with_nodes(replace(n, kernel=kernel) for n in graph.nodes)
        for sound, x in sounds(name, graph).items():
            yield case(kernel, name, sound, graph, x)
