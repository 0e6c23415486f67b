"""The integer program against brute force: every plan there is, on tables drawn by seed."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest

from edgeq.planning.program import Choice, Costs, Limits, Total, binding, least, solve

TABLES = 50
KINDS = ("ternary", "int3", "int4", "int8")
FILES = ("t2.c", "s3.c", "s4.c", "s8.c", "shared.c")


def table(seed: int) -> Costs:
    """2 to 5 layers, 2 to 4 widths each; codes shared; ties are likely in every third table."""
    rng = np.random.default_rng(seed)
    step = 10 if seed % 3 == 0 else 1
    layers = {}
    for at in range(rng.integers(2, 6)):
        kinds = KINDS[: rng.integers(2, 5)]
        layers[f"layer{at}"] = {
            kind: Choice(
                float(rng.integers(100, 1000) // step * step) + 0.5 * (seed % 2),
                int(rng.integers(10, 400) // step * step),
                int(rng.integers(500, 900) // step * step),
                float(rng.integers(0, 50) // step * step) * 1e-7 - (1e-8 if seed % 5 == 0 else 0),
                frozenset(rng.choice(FILES, rng.integers(1, 3), replace=False).tolist()),
            )
            for kind in kinds
        }
    code = {file: int(rng.integers(0, 300)) for file in FILES}
    return Costs(layers, 77.5, 123, 456, code)


def plans(costs: Costs) -> Iterator[tuple[dict[str, str], Total]]:
    names = list(costs.layers)
    for kinds in itertools.product(*costs.layers.values()):
        plan = dict(zip(names, kinds, strict=True))
        yield plan, costs.of(plan)


def limits(costs: Costs, seed: int) -> Limits:
    """Between what none and what any plan takes, exactly a plan's own cost now and then."""
    rng = np.random.default_rng(1000 + seed)
    totals = [total for _, total in plans(costs)]

    def drawn(name: str) -> float:
        values = sorted(float(getattr(total, name)) for total in totals)
        if rng.random() < 0.3:
            return math.inf
        if rng.random() < 0.5:
            return values[int(rng.integers(0, len(values)))]
        return float(rng.uniform(0.9 * values[0], values[-1]))

    return Limits(drawn("cycles"), drawn("flash_bytes"), drawn("ram_bytes"))


@pytest.mark.parametrize("seed", range(TABLES))
def test_the_program_is_brute_force(seed: int) -> None:
    costs = table(seed)
    allowed = limits(costs, seed)
    within = [total for _, total in plans(costs) if allowed.met_by(total)]
    plan = solve(costs, allowed)
    if not within:
        assert plan is None
        assert binding(costs, allowed) == wanted_binding(costs, allowed)
        return
    assert plan is not None
    found = costs.of(plan)
    assert allowed.met_by(found)
    best = min(total.loss for total in within)
    assert found.loss == pytest.approx(best, rel=1e-6, abs=1e-13)
    near = [t.cycles for t in within if t.loss <= best + 1e-14]
    assert found.cycles <= min(near), "of equal losses the fewest cycles"


def wanted_binding(costs: Costs, allowed: Limits) -> dict[str, float]:
    totals = [total for _, total in plans(costs)]
    asked = [name for name, limit in vars(allowed).items() if limit < math.inf]
    least_of = {n: min(float(getattr(t, n)) for t in totals) for n in asked}
    out = {n: v for n, v in least_of.items() if v > getattr(allowed, n)}
    if out:
        return out
    lifted = {}
    for name in asked:
        rest = [t for t in totals if allowed.without(name).met_by(t)]
        if rest:
            lifted[name] = min(float(getattr(t, name)) for t in rest)
    return lifted


def test_some_tables_are_out_of_reach_and_some_only_together() -> None:
    """What the parametrised test rests on: its draws meet every case."""
    kinds = set()
    for seed in range(TABLES):
        costs = table(seed)
        allowed = limits(costs, seed)
        if any(allowed.met_by(total) for _, total in plans(costs)):
            kinds.add("met")
            continue
        alone = [least(costs, n, Limits()) for n in vars(allowed)]
        each = zip(alone, vars(allowed).values(), strict=True)
        kinds.add("alone" if any((v or 0) > limit for v, limit in each) else "together")
    assert kinds == {"met", "alone", "together"}


def test_a_limit_that_is_met_exactly_is_met() -> None:
    costs = Costs({"a": {"int8": Choice(1e7, 10, 5, 0.0), "int4": Choice(1e7 - 1, 10, 5, 1.0)}})
    assert solve(costs, Limits(cycles=1e7)) == {"a": "int8"}
    assert solve(costs, Limits(cycles=1e7 - 0.5)) == {"a": "int4"}
    assert solve(costs, Limits(cycles=1e7 - 1.5)) is None


def test_code_is_paid_once() -> None:
    def choice(file: str, loss: float) -> Choice:
        return Choice(1.0, 100, 0, loss, frozenset({file}))

    layers = {n: {"int4": choice("s4.c", 2.0), "int8": choice("s8.c", 1.0)} for n in "ab"}
    costs = Costs(layers, code_bytes={"s4.c": 1000, "s8.c": 1000})
    mixed = costs.of({"a": "int4", "b": "int8"}).flash_bytes
    assert (costs.of({"a": "int8", "b": "int8"}).flash_bytes, mixed) == (1200, 2200)
    assert solve(costs, Limits(flash_bytes=1200)) == {"a": "int8", "b": "int8"}
    assert solve(costs, Limits(flash_bytes=1199)) is None
