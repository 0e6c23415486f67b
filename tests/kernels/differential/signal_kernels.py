"""Cases of what a cascade decides by."""

from collections.abc import Iterator

import numpy as np

from edgeq.ops import signals
from tests.kernels import samples
from tests.kernels.differential.case import Call, Case, Const, Long, Pointer, Struct
from tests.kernels.differential.elementwise import FILLS, SCALES


def gap(classes: int, seed: int, fill: str) -> Case:
    """Every third case shares its maximum, every fourth has but two values."""
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (classes,))
    if seed % 4 == 1:
        x = rng.choice(np.array([-128, 127], np.int8), classes)
    if seed % 3 == 0:
        x[rng.integers(classes)] = x.max()
    wanted = int(signals.gap(x[None], {})[0])
    given = (Pointer((Struct((None, Long(0), classes, 0, 0, 0)),)), Const(x))
    label = f"edgeq_gap_s8 {classes}, {fill}, seed {seed}"
    return Case(label, (Call("edgeq_gap_s8", given, wanted),))


def entropy(classes: int, scale: float, seed: int, fill: str) -> Case:
    """Every third case has one sure logit, every fourth but two values."""
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (classes,))
    if seed % 4 == 1:
        x = rng.choice(np.array([-128, 127], np.int8), classes)
    if seed % 3 == 0:
        x = np.where(np.arange(classes) == rng.integers(classes), 127, -128).astype(np.int8)
    constants = signals.ENTROPY.lower(scale, 0)
    wanted = int(signals.ENTROPY.of(x[None], constants)[0])
    multiplier, shift = (int(constants[role][0]) for role in ("multiplier", "shift"))
    table = Const(constants["exp_table"])
    given = (Pointer((Struct((table, Long(0), classes, 0, multiplier, shift)),)), Const(x))
    label = f"edgeq_entropy_s8 {classes}, scale {scale}, {fill}, seed {seed}"
    return Case(label, (Call("edgeq_entropy_s8", given, wanted),))


def entropy_of_two(scale: float) -> Case:
    """Two logits 0 to 255 steps apart: the sum of exponentials meets the whole table."""
    constants = signals.ENTROPY.lower(scale, 0)
    multiplier, shift = (int(constants[role][0]) for role in ("multiplier", "shift"))
    p = Pointer((Struct((Const(constants["exp_table"]), Long(0), 2, 0, multiplier, shift)),))
    rows = np.array([[-128, below - 128] for below in range(256)], np.int8)
    wanted = signals.ENTROPY.of(rows, constants).tolist()
    calls = (Call("edgeq_entropy_s8", (p, Const(x)), y) for x, y in zip(rows, wanted, strict=True))
    return Case(f"edgeq_entropy_s8 of two, scale {scale}", tuple(calls))


def of_heads(name: str, heads: int, classes: int, scale: float, seed: int, fill: str) -> Case:
    """Every third case has equal heads, every fourth but two values."""
    rng, rule = np.random.default_rng(seed), signals.SIGNALS[name]
    x = samples.activations(rng, fill, (heads, classes))
    if seed % 4 == 1:
        x = rng.choice(np.array([-128, 127], np.int8), (heads, classes))
    if seed % 3 == 0:
        x = np.repeat(x[:1], heads, axis=0)
    constants = rule.lower(scale, heads)
    wanted = int(rule.of(x[None], constants)[0])
    table = Const(constants["exp_table"]) if "exp_table" in constants else None
    factor = Long(int(constants["factor"][0])) if "factor" in constants else Long(0)
    given = (Pointer((Struct((table, factor, classes, heads, 0, 0)),)), Const(x))
    label = f"{rule.kernel} {heads}x{classes}, scale {scale}, {fill}, seed {seed}"
    return Case(label, (Call(rule.kernel, given, wanted),))


def of_heads_cases(name: str) -> Iterator[Case]:
    for seed in range(60):
        heads, classes = (2, 3, 10, 16)[seed // 6 % 4], (2, 3, 5, 10, 60, 1000)[seed % 6]
        yield of_heads(name, heads, classes, SCALES[seed % 5], seed, FILLS[seed // 6 % 4])


def gap_cases() -> Iterator[Case]:
    for seed in range(48):
        classes = (2, 3, 5, 10, 60, 1000)[seed % 6]
        yield gap(classes, seed, FILLS[seed // 6 % 4])


def entropy_cases() -> Iterator[Case]:
    for scale in (0.007, 0.013, 0.03):
        yield entropy_of_two(scale)
    for seed in range(60):
        classes = (2, 3, 5, 10, 60, 5000)[seed % 6]
        yield entropy(classes, SCALES[seed % 5], seed, FILLS[seed // 6 % 4])
