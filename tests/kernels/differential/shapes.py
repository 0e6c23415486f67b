"""Kernels of ops that broadcast, join and move cells: graphs as calls."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edgeq.ir import Graph, Node
from edgeq.ir.ports import limits
from edgeq.kernels import kernel_named
from edgeq.ops import OPS
from edgeq.ops import op as ops
from edgeq.ops.op import ANY_NUMBER, Array, Site
from edgeq.passes.select_kernels import select_kernels
from edgeq.reference import random_rows, run
from tests.factory import input_rows
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
from tests.numeric_cases import NUMERIC_CASES
from tests.recurrent_cases import RECURRENT_CASES
from tests.shape_cases import DEEP_CASES, SHAPE_CASES
from tests.svdf_cases import SVDF_CASES
from tests.tflite_wide import WIDE_CASES

SEEDS = range(3)


def case(name: str, graph: Graph, node: Node, seed: int) -> Case:
    """The node on what reaches it from random inputs; seed 0: the two ends of the codes."""
    x = _row(graph, seed)
    values = run(graph, x).values
    site, code = Site(graph, node), OPS[node.op].code
    assert isinstance(code, ops.Call)
    fields: list[Field] = []
    for _, value in code.fields(site):
        if isinstance(value, ops.Pointer):
            fields.append(Const(site.param(value.role)))
        elif np.asarray(value).dtype == np.int64 and isinstance(value, np.ndarray):
            fields.append(Long(int(value)))
        else:
            fields += [int(n) for n in np.asarray(value).reshape(-1)]
    inputs = tuple(Const(values[n][0]) for n in node.inputs)
    given = (Pointer((Struct(inputs),)),) if OPS[node.op].arity == ANY_NUMBER else inputs
    y = Out(values[node.outputs[0]][0])
    assert node.kernel is not None
    row = kernel_named(node.kernel)
    more = (Scratch(row.scratch(graph, node)),) if row.takes_scratch else ()
    call = Call(node.kernel, (Pointer((_struct(fields, code.kernel),)), *given, y, *more))
    return Case(f"{node.kernel} {name}, seed {seed}", (call,))


def _row(graph: Graph, seed: int) -> Array:
    low, high = limits(graph.tensors[graph.inputs[0]])
    if high == 127:
        return input_rows(np.random.default_rng(seed), graph, 3)[2 if seed else 0][None]
    x = random_rows(graph, 1, seed)
    if seed == SEEDS[-1]:  # codes that lie near to one another
        return (x % 3 - 1).astype(x.dtype)
    return x if seed else np.where(x < 0, low, high).astype(x.dtype)


def _struct(fields: list[Field], kernel: str) -> Struct:
    """A pointer at a constant stands in front of the struct of the operands."""
    if not kernel.endswith("Constant"):
        return Struct(tuple(fields))
    return Struct((fields[0], Struct(tuple(fields[1:]))))


def cases(kernel: str) -> Iterator[Case]:
    """Of every graph that has the kernel, or its plain form."""
    known = {**SHAPE_CASES, **DEEP_CASES, **NUMERIC_CASES, **RECURRENT_CASES}
    for name, make in known.items():
        graph = make()
        for node in graph.nodes:
            if node.kernel == kernel.removesuffix("_dsp") and node.name == "one":
                one = replace(node, kernel=kernel)
                yield from (case(name, graph, one, seed) for seed in SEEDS)


def wide_cases(kernel: str) -> Iterator[Case]:
    """Every layer on int16 that the kernel computes."""
    for name, make in WIDE_CASES.items():
        graph = select_kernels(make(), frozenset())
        for node in graph.nodes:
            if node.kernel == kernel:
                yield from (case(name, graph, node, seed) for seed in SEEDS)


def svdf_cases(kernel: str) -> Iterator[Case]:
    """The halves of every SVDF."""
    for name, make in SVDF_CASES.items():
        graph = make()
        (node,) = (n for n in graph.nodes if n.kernel == kernel.removesuffix("_dsp"))
        one = replace(node, kernel=kernel)
        yield from (case(name, graph, one, seed) for seed in SEEDS)
