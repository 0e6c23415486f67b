"""Every row of OPS is whole, and the C, the kernels, the emitters and the loader agree with it."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from edgeq import nn
from edgeq.bench.cases import cases_named, layer_graph
from edgeq.emit.onnx_ops import ONNX_OPS
from edgeq.emit.tflite_ops import LAYERS
from edgeq.ir import Graph, Quant
from edgeq.kernels import KERNELS
from edgeq.ops import OPS
from edgeq.ops.op import Absent, Call, Fields, Name, Op, Place, Pointer, Role, Site
from edgeq.ops.router_constants import gate_fields, layer_fields
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.stream import stream
from tests import factory
from tests.audio_cases import AUDIO_CASES
from tests.kernels.c_structs import flat_members, members
from tests.numeric_cases import NUMERIC_CASES
from tests.port_graphs import of_ids, wide_input, with_history
from tests.recurrent_cases import CARRIED_CASES, RECURRENT_CASES
from tests.shape_cases import IMPORTED_FUNCTIONS, SHAPE_CASES
from tests.svdf_cases import SVDF_CASES
from tests.tflite_wide import WIDE_CASES

RULES = ("precision_prior", "escalation", "off")


def test_no_column_has_a_default() -> None:
    """What an op does not say is an error when it is made, never a silent "no"."""
    nothing = (dataclasses.MISSING, dataclasses.MISSING)
    assert {(f.default, f.default_factory) for f in dataclasses.fields(Op)} == {nothing}
    row = {f.name: getattr(OPS["Add"], f.name) for f in dataclasses.fields(Op)}
    del row["accumulators"]
    with pytest.raises(TypeError, match="accumulators"):
        Op(**row)


def test_rows_are_found_by_their_names() -> None:
    assert all(op.name == name for name, op in OPS.items())
    assert all(op.attrs.__name__ == name for name, op in OPS.items())
    assert all(fused in OPS for op in OPS.values() for fused in op.fuses)


def emitted() -> list[Op]:
    """Ops that a lowered graph may hold, but for those of experts, which are modules, and what
    keeps something: it becomes ports (emit/state_ports.py).
    """
    own = [op for op in OPS.values() if op.memory is None and op.name not in ("Mixture", "Cascade")]
    return [op for op in own if op.code is not Absent.FOLDED]


@pytest.mark.parametrize("table", [ONNX_OPS, LAYERS], ids=["onnx", "tflite"])
def test_every_op_has_its_form(table: Mapping[str, Any]) -> None:
    assert set(table) == {op.name for op in emitted()}


def test_every_op_has_a_kernel_and_every_kernel_an_op() -> None:
    wanted = {op.code.kernel for op in OPS.values() if isinstance(op.code, Call)}
    own = {
        "Gate",
        "Band",
        "Part",
        "Staged",
        "Confidence",
    }  # called beside a mixture, around a layer, behind the output
    assert wanted == {kernel.op for kernel in KERNELS} - own


def graphs() -> Iterator[Graph]:
    rng = np.random.default_rng(5)
    yield factory.fc_graph(rng, ("s8", "t2", "s4"), softmax=True)
    yield factory.conv_graph(rng)
    for op in (*(cls.op for cls in nn.ACTIVATIONS), *IMPORTED_FUNCTIONS):
        build = factory.GraphBuilder(
            rng, op, np.arange(14, dtype=np.int8).reshape(2, 7), Quant((0.02,), 3)
        )
        build.activation(op)
        yield build.graph()
    samples = rng.integers(-128, 128, (2, 5, 4, 3), dtype=np.int8)
    build = factory.GraphBuilder(rng, "imported", samples, Quant((0.02,), 3))
    build.mean_pool((3, 3), (2, 2), (1, 0, 1, 1))
    build.delay()
    build.flatten()
    build.softmax_q31()
    yield build.graph()
    yield from (make() for make in (*SHAPE_CASES.values(), *NUMERIC_CASES.values()))
    (blocks,) = cases_named("256x128/64")
    yield layer_graph(blocks, "s4", "edgeq_block_fully_connected_s8_s4")
    yield from (RECURRENT_CASES[name]() for name in ("lstm", "gru", "mgu"))
    yield from (CARRIED_CASES[name]() for name in ("lstm", "gru", "mgu"))
    yield SVDF_CASES["svdf"]()
    yield from (make() for make in WIDE_CASES.values())
    yield from (AUDIO_CASES[name]() for name in ("log mel of 512", "mfcc", "pcen"))
    pcen = AUDIO_CASES["pcen"]()
    yield select_kernels(stream(pcen, pcen.nodes[0].attrs.hop, carry=True), frozenset())
    yield wide_input()
    yield of_ids()
    yield with_history()
    for rule in RULES:
        yield factory.mixture_graph(rng, rule=rule)
        yield factory.mixture_graph(rng, rule=rule, top_k=2, gate="probability")
    yield factory.mixture_graph(rng, kind="plain", rule="off")
    yield factory.cascade_graph(rng)


SITES = [Site(graph, node) for graph in graphs() for node in graph.nodes]
NAMED = [pytest.param(site, id=f"{i}-{site.node.op}") for i, site in enumerate(SITES)]


def test_the_graphs_hold_every_op() -> None:
    assert {site.node.op for site in SITES} == {*OPS} - {"BatchNorm"}


@pytest.mark.parametrize("site", NAMED)
def test_roles_are_the_constants(site: Site) -> None:
    """Each constant of a lowered node has a role and each role its constant; INLINE and ARRAY ones
    hold what their dtype can.
    """
    roles = {role.name: role for role in OPS[site.node.op].roles(site.node.attrs)}
    unused = {"router.exp_table"} if site.node.op == "Mixture" else set()
    assert set(site.node.params) - unused <= set(roles) <= set(site.node.params)
    for name, role in roles.items():
        if role.place in (Place.ARRAY, Place.INLINE):
            values = site.param(name)
            np.testing.assert_array_equal(values.astype(role.dtype), values)


@pytest.mark.parametrize("site", NAMED)
def test_fields_are_those_of_the_c_struct(site: Site) -> None:
    """Names, order and types of the header; each array of the op has its pointer."""
    op = OPS[site.node.op]
    if not isinstance(op.code, Call):
        return
    fields, roles = op.code.fields(site), op.roles(site.node.attrs)
    check(fields, op.code.struct, roles)
    if op.name != "Mixture":
        arrays = {r.name for r in roles if r.place in (Place.PACKED, Place.ARRAY, Place.BITS)}
        assert {v.role for _, v in fields if isinstance(v, Pointer)} == arrays
        return
    for row in layer_fields(site):
        check(row, "edgeq_router_layer", roles)
    if site.node.attrs.gate != "none":
        check(gate_fields(site), "edgeq_gate_params", roles)


def check(fields: Fields, struct: str, roles: tuple[Role, ...]) -> None:
    declared = flat_members(struct)
    assert [name for name, _ in fields] == [name for name, _ in declared], struct
    by_name = {role.name: role for role in roles}
    for (name, value), (_, kind) in zip(fields, declared, strict=True):
        if isinstance(value, Pointer):
            role = by_name[value.role]
            element = "void" if role.place is Place.PACKED else f"{role.dtype}_t"
            assert kind == f"const {element} *", name
        elif not isinstance(value, Name):
            assert kind == c_kind(value), name


def test_a_member_out_of_its_place_is_seen() -> None:
    """Two numbers of one type that changed places, and a number of another type."""
    roles = OPS["Relu"].roles(None)
    fields: Fields = (("size", 4), ("activation_min", 0), ("activation_max", 127))
    check(fields, "edgeq_relu_params", roles)
    with pytest.raises(AssertionError):
        check((fields[0], fields[2], fields[1]), "edgeq_relu_params", roles)
    with pytest.raises(AssertionError):
        check((("size", np.int64(4)), *fields[1:]), "edgeq_relu_params", roles)


def c_kind(value: Any) -> str:
    """The C type of a number in a struct."""
    if isinstance(value, int):
        return "int32_t"
    array = np.asarray(value)
    return f"{array.dtype.name}_t" + (f"[{array.size}]" if array.ndim else "")


def test_the_header_is_read_as_it_stands() -> None:
    assert members("edgeq_relu_params")[0] == ("size", "int32_t")
    assert ("zero_point", "int32_t[3]") in members("edgeq_add_params")
    assert ("window.padding_left", "int32_t") in flat_members("edgeq_conv_2d_params")
    with pytest.raises(KeyError):
        members("edgeq_no_such_params")
