"""The router of a mixture as constants: their roles, how they become integers, and the C structs.

Layer i's constants are "router.<i>.<role>". A dropped pass shares weight and output scale with the
plain one and has the dropout factor 1 / (1 - p) in ".dropped" twins of the rest.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from edgeq.ir import TensorType
from edgeq.ops import weighted
from edgeq.ops.fixed_point import exp_table, quantize_multipliers
from edgeq.ops.mc_dropout import dropout_masks
from edgeq.ops.op import (
    Accumulator,
    Array,
    Fields,
    Lowered,
    Name,
    Place,
    Pointer,
    Role,
    Site,
    activation_bounds,
    quant_of,
)
from edgeq.ops.router import Router, uncertainty_factor

if TYPE_CHECKING:  # which imports this module
    from edgeq.ops.mixture import Mixture

ROUTER_FORMAT = "s8"
VECTORS = weighted.ROLES[1:]
RULE_NAMES: Mapping[str, str] = {
    "off": "EDGEQ_RULE_OFF",
    "precision_prior": "EDGEQ_RULE_PRECISION_PRIOR",
    "escalation": "EDGEQ_RULE_ESCALATION",
}
RULE_ROLES: Mapping[str, tuple[Role, ...]] = {
    "off": (),
    "precision_prior": (
        Role("router.prior", "int64"),
        Role("router.u_min", "int64", Place.INLINE),
        Role("router.u_max", "int64", Place.INLINE),
    ),
    "escalation": (
        Role("router.threshold", "int64", Place.INLINE),
        Role("router.precise", "int32", Place.INLINE),
    ),
}
GATE_ROLES = (
    Role("gate.multiplier", "int32", Place.INLINE),
    Role("gate.shift", "int32", Place.INLINE),
)


def router_of(site: Site) -> Router:
    """The router of the mixture at `site`."""
    attrs: Mixture = site.node.attrs
    return attrs.router


def drops(router: Router, layer: int) -> bool:
    """Whether the layer runs once more for every Monte Carlo pass; the first stands before any."""
    return router.kind == "bayesian" and layer > 0


def suffixes(router: Router, layer: int) -> tuple[str, ...]:
    """Of the roles of a layer's vectors."""
    return ("", ".dropped") if drops(router, layer) else ("",)


def roles(router: Router, gate: str) -> tuple[Role, ...]:
    """Of a router whose rule is frozen."""
    found = [role for i in range(router.layers) for role in _layer_roles(router, i)]
    if router.kind == "bayesian" or gate == "probability":
        found.append(Role("router.exp_table", "uint16"))
    found += RULE_ROLES[router.rule]
    return (*found, *(GATE_ROLES if gate == "probability" else ()))


def _layer_roles(router: Router, i: int) -> Iterator[Role]:
    yield Role(f"router.{i}.weight", ROUTER_FORMAT, Place.PACKED)
    for suffix in suffixes(router, i):
        yield from (Role(f"router.{i}.{r.name}{suffix}", r.dtype) for r in VECTORS)
    if drops(router, i):
        yield Role(f"router.{i}.mask", "uint8", Place.BITS)


def lower(site: Site) -> Lowered:
    """All but the rule's constants, which `freeze_router` takes from the calibration rows."""
    attrs: Mixture = site.node.attrs
    router = attrs.router
    values: dict[str, Array] = {}
    types: dict[str, TensorType] = {}
    scale_in = site.input_quant(1).per_tensor
    for i in range(router.layers):
        layer = _lower_layer(site, i, scale_in)
        values.update(layer.values)
        types.update(layer.types)
        scale_in = router.quants[i].per_tensor
    if router.kind == "bayesian" or attrs.gate == "probability":
        values["router.exp_table"] = exp_table(router.quants[-1].per_tensor)
    if attrs.gate == "probability":
        expert = attrs.experts[0].graph
        shared = quant_of(expert.tensors[expert.outputs[0]]).per_tensor
        multiplier, shift = quantize_multipliers([shared / (site.output_quant.per_tensor * 2**15)])
        values |= {"gate.multiplier": multiplier, "gate.shift": shift}
    return Lowered(values, types)


def _lower_layer(site: Site, i: int, scale_in: float) -> Lowered:
    router, role = router_of(site), f"router.{i}."
    codes, bias = site.param(role + "weight"), site.param(role + "bias")
    quant = quant_of(site.type_of_param(role + "weight"))
    out = router.quants[i].per_tensor
    plain, types = weighted.integer_layer(codes, quant, bias, scale_in, out)
    values = {role + k: v for k, v in plain.items()}
    if drops(router, i):
        kept_scale = float(np.float32(scale_in / (1.0 - router.dropout)))
        grid = quant_of(types["weight"])
        dropped, _ = weighted.integer_layer(codes, grid, bias, kept_scale, out)
        values |= {f"{role}{r.name}.dropped": dropped[r.name] for r in VECTORS}
        width = codes.shape[1]
        masks = dropout_masks(router.seed, router.passes, width, i - 1, router.dropout)
        values[role + "mask"] = masks
    return Lowered(values, {role + k: t for k, t in types.items()})


def accumulators(site: Site) -> tuple[Accumulator, ...]:
    """Those of every layer, plain and dropped."""
    router = router_of(site)
    return tuple(
        weighted.accumulator(site, site.param(f"router.{i}.weight"), 0, f"router.{i}.", suffix)
        for i in range(router.layers)
        for suffix in suffixes(router, i)
    )


def layer_fields(site: Site) -> tuple[Fields, ...]:
    """One edgeq_router_layer after another. Where nothing is dropped, `dropped` repeats `plain`."""
    return tuple(tuple(_layer_fields(site, i)) for i in range(router_of(site).layers))


def _layer_fields(site: Site, i: int) -> Iterator[tuple[str, int | Pointer | Name]]:
    router = router_of(site)
    quants = (site.input_quant(1), *router.quants)
    outputs, inputs = site.param(f"router.{i}.weight").shape
    low, high = activation_bounds("relu" if i < router.layers - 1 else "none", quants[i + 1])
    for part, suffix in (("plain", ""), ("dropped", suffixes(router, i)[-1])):
        yield f"{part}.weight", Pointer(f"router.{i}.weight")
        for role in VECTORS:
            yield f"{part}.{role.name}", Pointer(f"router.{i}.{role.name}{suffix}")
        yield f"{part}.inputs", inputs
        yield f"{part}.outputs", outputs
        yield f"{part}.input_zero_point", quants[i].zero_point
        yield f"{part}.output_zero_point", quants[i + 1].zero_point
        yield f"{part}.activation_min", low
        yield f"{part}.activation_max", high
    yield "mask", Pointer(f"router.{i}.mask") if drops(router, i) else Name("NULL")


def router_fields(site: Site) -> Fields:
    """edgeq_router_params; constants of rules that are not used are zero."""
    attrs: Mixture = site.node.attrs
    router = attrs.router
    held = {role.name for role in roles(router, attrs.gate)}
    passes = router.passes if router.kind == "bayesian" else 0

    def array(role: str) -> Pointer | Name:
        return Pointer(role) if role in held else Name("NULL")

    def number(role: str) -> int:
        return int(site.number(role)) if role in held else 0

    return (
        ("layers", Name("router_layers")),
        ("exp_table", array("router.exp_table")),
        ("prior", array("router.prior")),
        ("u_min", np.array(number("router.u_min"), np.int64)),
        ("u_max", np.array(number("router.u_max"), np.int64)),
        ("threshold", np.array(number("router.threshold"), np.int64)),
        ("uncertainty_factor", np.array(uncertainty_factor(passes) if passes else 0, np.int64)),
        ("precise", number("router.precise")),
        ("layer_count", router.layers),
        ("passes", passes),
        ("top_k", attrs.top_k),
        ("rule", Name(RULE_NAMES[router.rule])),
    )


def gate_fields(site: Site) -> Fields:
    """edgeq_gate_params of a mixture whose experts are weighed."""
    attrs: Mixture = site.node.attrs
    expert = attrs.experts[0].graph
    return (
        ("size", site.output_size),
        ("expert_zero_point", quant_of(expert.tensors[expert.outputs[0]]).zero_point),
        ("output_zero_point", site.output_quant.zero_point),
        ("multiplier", site.number("gate.multiplier")),
        ("shift", site.number("gate.shift")),
    )
