"""The router and the gated sum, bit for bit against the numpy reference."""

import ctypes as ct
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.kernels import PACKINGS, kernel_named, pack_masks
from edgeq.ops.fixed_point import exp_table, quantize_multipliers, requantize, softmax_q15
from edgeq.ops.mixture import Mixture, choose
from edgeq.ops.op import activation_bounds
from edgeq.ops.router import (
    RULES,
    SCORE_BITS,
    Router,
    route_rows,
    uncertainty_factor,
    uncertainty_q24,
)
from tests.kernels import samples
from tests.kernels.conftest import KERNELS
from tests.kernels.host_kernels import (
    FullyConnectedParams,
    GateParams,
    Held,
    RouterLayer,
    RouterParams,
    Routing,
    call,
)

RULE_CODES = {"off": 0, "precision_prior": 1, "escalation": 2}


def random_params(
    rng: np.random.Generator, router: Router, widths: list[int], zero: int, fill: str
) -> dict[str, Any]:
    """Constants as the exporter names them; u_max may equal u_min, a threshold may be negative."""
    params: dict[str, Any] = {"router.exp_table": exp_table(float(rng.choice([0.02, 0.1, 0.5])))}
    zeros = (zero, *(q.zero_point for q in router.quants))
    for i, (inputs, outputs) in enumerate(pairwise(widths)):
        role = f"router.{i}."
        weight = samples.weights(rng, fill, (outputs, inputs), "s8")
        params[role + "weight"] = weight
        params[role + "mask"] = rng.integers(0, 2, (router.passes, inputs)).astype(np.uint8)
        for suffix in ("", ".dropped"):
            sums = np.abs(weight.astype(int)).sum(1)
            r = samples.requantization(rng, sums, zeros[i])
            params[role + "bias" + suffix] = r.bias
            params[role + "multiplier" + suffix] = r.multiplier
            params[role + "shift" + suffix] = r.shift
    experts, largest = widths[-1], router.passes**2 << 30
    low, high = sorted(int(v) for v in rng.integers(-5, largest, 2))
    params["router.u_min"] = np.array([low], np.int64)
    params["router.u_max"] = np.array([rng.choice([low, high])], np.int64)
    steepest = (100 << SCORE_BITS) // max(1, high - low)
    params["router.prior"] = rng.integers(0, steepest + 1, experts)
    params["router.threshold"] = np.array([rng.choice([-1, 0, low])], np.int64)
    params["router.precise"] = np.array([rng.integers(0, experts)], np.int32)
    return params


def c_layers(
    held: Held, router: Router, params: dict[str, Any], widths: list[int], zero: int
) -> int:
    """The array of layer structs in memory that `held` keeps: its address."""
    layers = (RouterLayer * router.layers)()
    held.arrays.append(layers)
    for i in range(router.layers):
        q, role = router.quants[i], f"router.{i}."
        weight = held.packed(PACKINGS["s8"].pack(params[role + "weight"]))
        zero_in = zero if i == 0 else router.quants[i - 1].zero_point
        bounds = activation_bounds("relu" if i < router.layers - 1 else "none", q)
        layers[i].plain, layers[i].dropped = (
            FullyConnectedParams(
                weight,
                held.pointer(params[role + "bias" + suffix], np.int32),
                held.pointer(params[role + "multiplier" + suffix], np.int32),
                held.pointer(params[role + "shift" + suffix], np.int8),
                *widths[i : i + 2],
                zero_in,
                q.zero_point,
                *bounds,
            )
            for suffix in ("", ".dropped")
        )
        layers[i].mask = held.packed(pack_masks(params[role + "mask"]))
    return ct.addressof(layers)


def scratch_of(router: Router, widths: list[int]) -> samples.Array:
    """As many bytes as the table says."""
    weights = {
        f"router.{i}.weight": TensorType((widths[i + 1], widths[i]), "int8")
        for i in range(router.layers)
    }
    node = Node("m", "Mixture", ("x",), ("y",), Mixture((), router), {k: k for k in weights})
    graph = Graph("g", ("x",), ("y",), (node,), weights, {})
    size = kernel_named("edgeq_router_s8").scratch(graph, node)
    return np.zeros(size, np.uint8)  # numpy aligns to 16 bytes


@pytest.mark.parametrize("kind", ["bayesian", "plain"])
@pytest.mark.parametrize("rule", RULES)
@given(
    widths=st.lists(st.integers(1, 20), min_size=2, max_size=5),
    passes=st.sampled_from((2, 3, 10, 64)),
    top_k=st.integers(1, 3),
    gated=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    fill=st.sampled_from(samples.FILLS),
)
@KERNELS
def test_router_equals_reference(
    kernels: ct.CDLL,
    kind: str,
    rule: str,
    widths: list[int],
    passes: int,
    top_k: int,
    gated: bool,
    seed: int,
    fill: str,
) -> None:
    rng = np.random.default_rng(seed)
    experts, top_k = widths[-1], min(top_k, widths[-1])
    quants = tuple(samples.quant(rng) for _ in widths[1:])
    router = Router(kind, len(widths) - 1, passes, rule=rule, quants=quants)
    x = samples.activations(rng, str(rng.choice(samples.FILLS)), (1, widths[0]))
    zero = samples.quant(rng).zero_point
    constants = random_params(rng, router, widths, zero, fill)
    held = Held()
    params = RouterParams(
        c_layers(held, router, constants, widths, zero),
        held.pointer(constants["router.exp_table"], np.uint16),
        held.pointer(constants["router.prior"], np.int64),
        int(constants["router.u_min"][0]),
        int(constants["router.u_max"][0]),
        int(constants["router.threshold"][0]),
        uncertainty_factor(passes),
        int(constants["router.precise"][0]),
        router.layers,
        passes if kind == "bayesian" else 0,
        top_k,
        RULE_CODES[rule],
    )
    chosen, logits = np.full(top_k, -7, np.int32), np.zeros(experts, np.int8)
    gates = np.full(experts, -7, np.int32)
    out = Routing(chosen.ctypes.data, logits.ctypes.data, gates.ctypes.data if gated else None)
    kernels.edgeq_router_s8.restype = None
    kernels.edgeq_router_s8(
        ct.byref(params),
        ct.c_void_p(x.ctypes.data),
        ct.byref(out),
        ct.c_void_p(scratch_of(router, widths).ctypes.data),
    )
    wanted = route_rows(router, x, zero, constants)
    np.testing.assert_array_equal(logits, wanted.logits[0])
    assert out.numerator == wanted.uncertainty[0]
    assert out.uncertainty_q24 == uncertainty_q24(wanted.uncertainty, passes)[0]
    np.testing.assert_array_equal(chosen, choose(wanted.scores, top_k)[0])
    q15 = softmax_q15(wanted.logits[0], constants["router.exp_table"])
    np.testing.assert_array_equal(gates, q15 if gated else np.full(experts, -7))


@given(
    size=st.integers(1, 30),
    experts=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
    fill=st.sampled_from(samples.FILLS),
)
@KERNELS
def test_gate_equals_weighted_sum(
    kernels: ct.CDLL, size: int, experts: int, seed: int, fill: str
) -> None:
    rng = np.random.default_rng(seed)
    logits = samples.activations(rng, fill, (experts,))
    gates = softmax_q15(logits, exp_table(0.05))
    y = samples.activations(rng, fill, (experts, size))
    q_in, q_out = samples.quant(rng), samples.quant(rng, 0.03)
    multiplier, shift = quantize_multipliers([q_in.per_tensor / (q_out.per_tensor * 2**15)])
    params = GateParams(size, q_in.zero_point, q_out.zero_point, int(multiplier[0]), int(shift[0]))
    acc, out = np.full(size, 99, np.int32), np.zeros(size, np.int8)
    call(kernels.edgeq_gate_start_s8, params, acc)
    for e in range(experts):
        kernels.edgeq_gate_accumulate_s8(
            ct.byref(params),
            int(gates[e]),
            ct.c_void_p(y[e].ctypes.data),
            ct.c_void_p(acc.ctypes.data),
        )
    call(kernels.edgeq_gate_s8, params, acc, out)
    total = (gates[:, None] * (y.astype(np.int64) - q_in.zero_point)).sum(0)
    wanted = requantize(total, multiplier, shift, q_out.zero_point, -128, 127)
    np.testing.assert_array_equal(out, wanted)


def test_ties_go_to_the_lower_index(kernels: ct.CDLL) -> None:
    """Equal scores for every expert: the order of the table."""
    router = Router("plain", 1, rule="off", quants=(Quant((0.1,), 0),))
    constants = {
        "router.0.weight": np.zeros((4, 2), np.int8),
        "router.0.mask": np.ones((2, 2), np.uint8),
    }
    for suffix in ("", ".dropped"):
        constants |= {
            f"router.0.{k}{suffix}": np.zeros(4, np.int32) for k in ("bias", "multiplier", "shift")
        }
    held = Held()
    layers = c_layers(held, router, constants, [2, 4], 0)
    params = RouterParams(layers=layers, layer_count=1, top_k=3)
    chosen, logits, x = np.zeros(3, np.int32), np.zeros(4, np.int8), np.zeros(2, np.int8)
    out = Routing(chosen.ctypes.data, logits.ctypes.data, None)
    kernels.edgeq_router_s8(
        ct.byref(params),
        ct.c_void_p(x.ctypes.data),
        ct.byref(out),
        ct.c_void_p(scratch_of(router, [2, 4]).ctypes.data),
    )
    assert chosen.tolist() == [0, 1, 2]
