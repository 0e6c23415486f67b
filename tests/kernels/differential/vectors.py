"""Kernels by vectors: what the plain ones are given, and layers around whole vectors."""

from collections.abc import Iterator
from dataclasses import replace

from tests.kernels import samples
from tests.kernels.differential import convolutions, fully_connected
from tests.kernels.differential.case import Case
from tests.kernels.differential.convolutions import Geometry
from tests.kernels.dsp.layers import ACTIVATIONS

# inputs around sixteen columns, and pairs and fours of them; outputs around four rows
WIDE = ((15, 4), (16, 5), (18, 6), (33, 8), (63, 3))
WINDOWS = (  # channels around sixteen of a patch, and eight of a depthwise block
    Geometry((2, 3), 16, (1, 1), (1, 1), (0, 0, 0, 0), 6),
    Geometry((3, 4), 17, (2, 2), (1, 2), (1, 0, 0, 1), 5),
    Geometry((4, 3), 31, (3, 3), (1, 1), (1, 1, 1, 1), 4),
    Geometry((3, 3), 6, (3, 3), (1, 1), (1, 1, 1, 1), 8),
)


def by_vectors(case: Case) -> Case:
    """The same calls of the kernels by vectors."""
    calls = tuple(replace(call, function=f"{call.function}_mve") for call in case.calls)
    return replace(case, label=f"{case.label}, by vectors", calls=calls)


def fully_connected_cases(token: str) -> Iterator[Case]:
    for case in fully_connected.plain_cases(token):
        yield by_vectors(case)
    for seed, (inputs, outputs) in enumerate(WIDE):
        for i, fill in enumerate(samples.FILLS):
            act = ACTIVATIONS[(seed + i) % 3]
            yield by_vectors(fully_connected.plain(token, inputs, outputs, seed, fill, act))


def window_cases(op: str, token: str) -> Iterator[Case]:
    for case in convolutions.plain_cases(op, token):
        yield by_vectors(case)
    for seed, g in enumerate(WINDOWS):
        for i, fill in enumerate(samples.FILLS):
            act = ACTIVATIONS[(seed + i) % 3]
            yield by_vectors(convolutions.plain(op, token, g, seed, fill, act))
