"""What device/model/model.c computes, in Python: the oracle of the link tests."""

import numpy as np

from edgeq.harness.messages import InferResult

OUTPUTS, LAYERS = 40, 20


def expected(sample_id: int, data: bytes) -> InferResult:
    """The result the stub model must give; `cycles` is what host_hal.c counts."""
    state = 2166136261
    for byte in data:
        state = ((state ^ byte) * 16777619) % 2**32

    def step() -> int:
        nonlocal state
        state = (state * 1664525 + 1013904223) % 2**32
        return state

    output = np.array([(step() >> 24) - 128 for _ in range(OUTPUTS)], np.int8)
    layers = tuple(step() for _ in range(LAYERS))
    return InferResult(
        id=sample_id,
        route=state % 3 - 1,
        uncertainty=(state >> 8) / 2**24,
        confidence=(state % 32769) / 2**15,
        cycles=1000,
        output=output,
        stack_bytes=0,
        layer_cycles=layers,
    )


def same(a: InferResult, b: InferResult) -> bool:
    """Equal in every field."""
    left = (a.id, a.route, a.uncertainty, a.confidence, a.cycles, a.stack_bytes, a.layer_cycles)
    right = (b.id, b.route, b.uncertainty, b.confidence, b.cycles, b.stack_bytes, b.layer_cycles)
    return left == right and np.array_equal(a.output, b.output)
