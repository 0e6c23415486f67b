"""The router on plain layers and on those of DSP cores: rules, depths, passes, gates."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np

from edgeq.ir import Graph, Node, TensorType
from edgeq.kernels import PACKINGS, kernel_named, pack_masks
from edgeq.kernels.streams import row_groups
from edgeq.ops.fixed_point import exp_table, requantize, softmax_q15
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
from tests.kernels.differential.case import (
    Call,
    Case,
    Const,
    Long,
    Out,
    Pointer,
    Result,
    Scratch,
    Struct,
)
from tests.kernels.differential.fully_connected import params
from tests.kernels.dsp.layers import right_shifts

RULE_CODES = {"off": 0, "precision_prior": 1, "escalation": 2}
Pack = Callable[[samples.Array], samples.Array]


@dataclass(frozen=True)
class Spec:
    """What a case is made of. widths: inputs, outputs of every layer; the last: experts."""

    kind: str
    rule: str
    widths: tuple[int, ...]
    passes: int
    top_k: int
    gated: bool
    seed: int
    fill: str


def random_params(
    rng: np.random.Generator, router: Router, spec: Spec, x: samples.Array, zero: int, dsp: bool
) -> dict[str, Any]:
    """Constants as the exporter names them; u_max may equal u_min, a threshold may be negative.

    Every second case is aimed: layer by layer at what the input x and the first pass give.
    """
    made: dict[str, Any] = {"router.exp_table": exp_table(float(rng.choice([0.02, 0.1, 0.5])))}
    zeros = (zero, *(q.zero_point for q in router.quants))
    for i, (inputs, outputs) in enumerate(pairwise(spec.widths)):
        role = f"router.{i}."
        weight = samples.weights(rng, spec.fill, (outputs, inputs), "s8")
        made[role + "weight"] = weight
        made[role + "mask"] = rng.integers(0, 2, (router.passes, inputs)).astype(np.uint8)
        reach = np.abs(weight.astype(int)).sum(1)
        lifted = x.reshape(-1).astype(np.int64) - zeros[i]
        for suffix in ("", ".dropped"):
            kept = made[role + "mask"][0] if suffix else 1
            r = right_shifts(rng, reach * 255) if dsp else None
            r = r or samples.requantization(rng, reach, zeros[i])
            if spec.seed % 2:
                sums = weight.astype(np.int64) @ (lifted * kept)
                r = samples.aimed(rng, sums, router.quants[i].zero_point, left=not dsp)
            made[role + "bias" + suffix] = r.bias
            made[role + "multiplier" + suffix] = r.multiplier
            made[role + "shift" + suffix] = r.shift
        acc = weight.astype(np.int64) @ lifted + made[role + "bias"]
        zero_out = router.quants[i].zero_point
        low = zero_out if i < router.layers - 1 else -128
        x = requantize(acc, made[role + "multiplier"], made[role + "shift"], zero_out, low, 127)
    return made | _rule_params(rng, spec.widths[-1], router.passes)


def _rule_params(rng: np.random.Generator, experts: int, passes: int) -> dict[str, Any]:
    low, high = sorted(int(v) for v in rng.integers(-5, passes**2 << 30, 2))
    steepest = (100 << SCORE_BITS) // max(1, high - low)
    return {
        "router.u_min": np.array([low], np.int64),
        "router.u_max": np.array([rng.choice([low, high])], np.int64),
        "router.prior": rng.integers(0, steepest + 1, experts),
        "router.threshold": np.array([rng.choice([-1, 0, low])], np.int64),
        "router.precise": np.array([rng.integers(0, experts)], np.int32),
    }


def _around(rng: np.random.Generator, uncertainty: int, spec: Spec) -> dict[str, Any]:
    """A rule whose range and threshold lie about the row's own uncertainty, at times on it."""
    low = uncertainty - int(rng.integers(0, uncertainty // 2 + 2))
    high = uncertainty + int(rng.integers(-1, uncertainty // 2 + 2))
    steepest = (100 << SCORE_BITS) // max(1, high - low)
    return {
        "router.u_min": np.array([low], np.int64),
        "router.u_max": np.array([max(low, high)], np.int64),
        "router.prior": rng.integers(0, steepest + 1, spec.widths[-1]),
        "router.threshold": np.array([uncertainty - int(rng.integers(-1, 2))], np.int64),
    }


def _layer(
    made: dict[str, Any], spec: Spec, router: Router, i: int, zero: int, dsp: bool
) -> Struct:
    """edgeq_router_layer: with and without dropout on the same weights, and the masks."""
    q, role = router.quants[i], f"router.{i}."
    weight = made[role + "weight"]
    packed = np.frombuffer(PACKINGS["s8"].pack(weight), np.uint8)
    words = row_groups.S8.pack(weight).astype(np.uint32) if dsp else packed
    zero_in = zero if i == 0 else router.quants[i - 1].zero_point
    bounds = activation_bounds("relu" if i < router.layers - 1 else "none", q)
    numbers = (*spec.widths[i : i + 2], zero_in, q.zero_point, *bounds)
    both = []
    for suffix in ("", ".dropped"):
        r = samples.Requantization(
            *(made[role + part + suffix] for part in ("bias", "multiplier", "shift"))
        )
        if dsp:
            bias = row_groups.S8.bias(weight.astype(np.int64).sum(1), r.bias, zero_in)
            vectors = row_groups.S8.vectors(bias, r.multiplier, r.shift, weight)
            r = samples.Requantization(*vectors)
        both.append(params(words, r, r.bias, numbers))
    return Struct((*both, Const(np.frombuffer(pack_masks(made[role + "mask"]), np.uint8))))


def scratch_bytes(name: str, router: Router, widths: tuple[int, ...]) -> int:
    """As many as the table says."""
    weights = {
        f"router.{i}.weight": TensorType((widths[i + 1], widths[i]), "int8")
        for i in range(router.layers)
    }
    node = Node("m", "Mixture", ("x",), ("y",), Mixture((), router), {k: k for k in weights})
    return kernel_named(name).scratch(Graph("g", ("x",), ("y",), (node,), weights, {}), node)


def router_case(name: str, spec: Spec) -> Case:
    """One row through the kernel `name`: logits, uncertainty, the chosen experts, gates."""
    rng, dsp = np.random.default_rng(spec.seed), name.endswith("_dsp")
    widths = spec.widths
    quants = tuple(samples.quant(rng) for _ in widths[1:])
    router = Router(spec.kind, len(widths) - 1, spec.passes, rule=spec.rule, quants=quants)
    x = samples.activations(rng, str(rng.choice(samples.FILLS)), (1, widths[0]))
    zero = samples.quant(rng).zero_point
    made = random_params(rng, router, spec, x, zero, dsp)
    if spec.seed % 3:
        made |= _around(rng, int(route_rows(router, x, zero, made).uncertainty[0]), spec)
    given = _struct(made, spec, router, zero, dsp)
    wanted = route_rows(router, x, zero, made)
    q15 = softmax_q15(wanted.logits[0], made["router.exp_table"])
    routing = Struct((
        Out(choose(wanted.scores, spec.top_k)[0].astype(np.int32)),
        Out(wanted.logits[0]),
        Out(q15.astype(np.int32)) if spec.gated else None,
        Result(int(wanted.uncertainty[0]), 8),
        Result(int(uncertainty_q24(wanted.uncertainty, router.passes)[0])),
    ))  # fmt: skip
    scratch = Scratch(scratch_bytes(name, router, widths))
    call = Call(name, (Pointer((given,)), Const(x), Pointer((routing,)), scratch))
    return Case(f"{name} {spec}", (call,))


def _struct(made: dict[str, Any], spec: Spec, router: Router, zero: int, dsp: bool) -> Struct:
    """edgeq_router_params"""
    layers = (_layer(made, spec, router, i, zero, dsp) for i in range(router.layers))
    return Struct((
        Pointer(tuple(layers)),
        Const(made["router.exp_table"].astype(np.uint16)),
        Const(made["router.prior"].astype(np.int64)),
        Long(int(made["router.u_min"][0])),
        Long(int(made["router.u_max"][0])),
        Long(int(made["router.threshold"][0])),
        Long(uncertainty_factor(spec.passes)),
        int(made["router.precise"][0]),
        router.layers,
        spec.passes if spec.kind == "bayesian" else 0,
        spec.top_k,
        RULE_CODES[spec.rule],
    ))  # fmt: skip


WIDTHS = ((3, 1), (7, 4), (20, 9, 3), (13, 20, 5), (5, 8, 17, 4), (11, 6, 6, 9, 2))


def router_cases(name: str) -> Iterator[Case]:
    """Both kinds under every rule; depths from one to four layers, all passes that matter."""
    kinds = product(("bayesian", "plain"), RULES, range(len(WIDTHS)), range(2))
    for seed, (kind, rule, depth, _) in enumerate(kinds):
        widths = WIDTHS[depth]
        spec = Spec(
            kind, rule, widths, (2, 3, 10, 64)[seed % 4 if depth < 4 else 0],
            min(1 + seed % 3, widths[-1]), seed % 2 == 0, seed, samples.FILLS[seed % 4],
        )  # fmt: skip
        yield router_case(name, spec)
    # a layer whose last group of rows ends with the block of sums
    yield router_case(name, Spec("plain", "off", (9, 47, 2), 2, 1, False, 1, samples.FILLS[0]))
    # rows that an 8-bit kernel takes in chunks, at their ends: all activations are -128
    for seed in (5, 17):
        yield router_case(name, Spec("plain", "off", (1033, 3), 2, 1, False, seed, "high"))
