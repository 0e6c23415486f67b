"""Recurrent steps: three calls that follow on one another, from a state of before, by the op."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edgeq.kernels import kernel_named
from edgeq.ops import OPS
from edgeq.ops import op as ops
from edgeq.ops.op import Site, quant_of
from edgeq.reference import io_of
from tests.kernels.differential.case import Call, Case, Const, Field, Out, Pointer, Scratch, Struct
from tests.recurrent_cases import CARRIED_CASES

CALLS, SEEDS = 3, range(5)


def cases(kernel: str) -> Iterator[Case]:
    """Of every graph that has the kernel, or its plain form; waiting, at the end of that, and
    beyond."""
    for name, make in CARRIED_CASES.items():
        graph = make()
        for node in graph.nodes:
            if node.kernel != kernel.removesuffix("_dsp"):
                continue
            one = Site(graph, replace(node, kernel=kernel))
            for came in sorted({0, node.attrs.wait}):
                for seed in SEEDS:
                    label = f"{name}, {came} came, seed {seed}"
                    yield _case(label, one, came, seed)


def _case(name: str, site: Site, came: int, seed: int) -> Case:
    """Seed 0: the ends of the codes, in the first two calls."""
    node, op = site.node, OPS[site.node.op]
    io, params, rng = io_of(site.graph, node), site.params, np.random.default_rng(seed)
    assert op.memory is not None
    assert isinstance(op.code, ops.Call)
    assert node.kernel is not None
    start = rng.integers(-500, 500, op.memory.kind(node.attrs, io).shape).astype(np.int16)
    if node.op == "LstmStep":  # the hidden state is int8 without its zero point
        hidden = rng.integers(-128, 128, io.output.shape[1]) - quant_of(io.output).zero_point
        start[io.output.shape[1] : -1] = hidden
    start[-1] = came
    x = rng.integers(-128, 128, (CALLS, *io.inputs[0].shape)).astype(np.int8)
    if not seed:
        x[:2] = np.array([-128, 127]).reshape(2, *[1] * (x.ndim - 1))
    made, last = op.memory.run(node.attrs, io, (x,), params, start)
    fields: list[Field] = []
    for _, value in op.code.fields(site)[:-1]:
        role = value.role if isinstance(value, ops.Pointer) else None
        own = [int(n) for n in np.asarray(value).reshape(-1)] if role is None else []
        fields += own if role is None else [Const(site.param(role))]
    struct = Pointer((Struct((Struct(tuple(fields)), node.attrs.wait)),))
    scratch, state = Scratch(kernel_named(node.kernel).scratch(site.graph, node)), Out(last, start)
    calls = tuple(
        Call(node.kernel, (struct, Const(a), Out(b), state, scratch))
        for a, b in zip(x, made, strict=True)
    )
    return Case(f"{node.kernel} {name}", calls)
