"""The names of the arena's buffers."""

import dataclasses
import re

import numpy as np
import pytest

from edgeq.emit.arena_map import LONGEST, arena_map
from edgeq.ir import Graph
from edgeq.memory import EXPERT_REGION, MemoryPlan, plan_memory
from edgeq.placement import Buffer
from tests.factory import conv_graph, fc_graph, mixture_graph


def plan_of(*buffers: Buffer) -> MemoryPlan:
    return MemoryPlan("g", buffers, {}, 1, 1)


def plain() -> Graph:
    return fc_graph(np.random.default_rng(1), ("s8",))


def test_every_buffer_has_its_offset_and_size() -> None:
    graph = conv_graph(np.random.default_rng(1))
    plan = plan_memory(graph)
    places = arena_map(graph, plan, "NET")
    assert [(p.owner, p.buffer, p.offset, p.comment) for p in places] == [
        ("", b.name, b.offset, f"{b.bytes} bytes") for b in plan.buffers
    ]


def test_experts_stand_in_their_region() -> None:
    graph = mixture_graph(np.random.default_rng(1), trunk="conv", top_k=2, gate="probability")
    plan, node = plan_memory(graph), graph.nodes[-1]
    moved = tuple(dataclasses.replace(b, offset=b.offset + 64) for b in plan.buffers)
    plan = dataclasses.replace(plan, buffers=moved)  # else an offset from its start would do
    region = plan.buffer(node.name + EXPERT_REGION)
    places = arena_map(graph, plan, "NET")
    assert len({p.symbol for p in places}) == len(places)
    for expert, inner in zip(node.attrs.experts, plan.experts, strict=True):
        own = [(p.buffer, p.offset) for p in places if p.owner == expert.name]
        assert own == [(b.name, region.offset + b.offset) for b in inner.buffers]
        assert own
        assert all(region.offset <= at < region.offset + region.bytes for _, at in own)


def test_a_plan_of_other_experts_is_refused() -> None:
    graph = mixture_graph(np.random.default_rng(1))
    plan = plan_memory(graph)
    with pytest.raises(ValueError, match="shorter"):
        arena_map(graph, dataclasses.replace(plan, experts=plan.experts[:-1]), "NET")
    with pytest.raises(ValueError, match="longer"):
        arena_map(plain(), plan, "NET")


def test_names_are_identifiers_and_differ() -> None:
    names = ("conv.out", "conv-out", "conv_out", "", "ö", "x" * 60, "y" * 47 + ".z")
    plan = plan_of(*(Buffer(name, 4, 0, 0, 8 * i) for i, name in enumerate(names)))
    symbols = [p.symbol for p in arena_map(plain(), plan, "NET")]
    assert symbols == [
        "NET_AT_CONV_OUT",
        "NET_AT_CONV_OUT_2",
        "NET_AT_CONV_OUT_3",
        "NET_AT_",
        "NET_AT__2",
        "NET_AT_" + "X" * LONGEST,
        "NET_AT_" + "Y" * 47,  # cut behind an underscore, which goes too
    ]
    assert all(re.fullmatch(r"[A-Z_][A-Z0-9_]*", s) for s in symbols)
    assert LONGEST == 48  # of the 63 characters that C99 tells apart, prefix aside
