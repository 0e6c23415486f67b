"""Which faults are planted: by seed, all kinds in turn."""

import random
from collections.abc import Iterator, Sequence

from tests.mutation.fault import KINDS, Fault


def in_turns(faults: Sequence[Fault], seed: str) -> Iterator[Fault]:
    """All of them: one of each kind, another of each kind, ...; the same for the same seed."""
    order = random.Random(seed)
    piles = []
    for kind in KINDS:
        pile = [fault for fault in faults if fault.edit.kind == kind]
        order.shuffle(pile)
        piles.append(pile)
    order.shuffle(piles)
    while any(piles):
        for pile in piles:
            if pile:
                yield pile.pop()
