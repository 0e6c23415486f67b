"""What a cascade decides by: a row of SIGNALS (ops/signals.py)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgeq.ops.fixed_point import Int64
from edgeq.ops.op import Array, Params, Role


@dataclass(frozen=True)
class Signal:
    """`of` takes int8 outputs (rows, classes) and the cascade's constants, and gives (rows,);
    `real` the same of real outputs. `unit`: what a step of the integer is worth in the real one,
    from the outputs' scale.

    Thresholds lie in [least, most]: at one end no row goes on, at the other every row does.
    `doubt`: large values are unsure ones, and a row goes on above the threshold; else below it.
    `fraction_bits`: of the value; a reported one has 24. `step`: how far a step of one output moves
    the value, about. `roles`: constants besides the thresholds; `lower` makes them; both from the
    outputs' scale and the number of heads.

    `heads`: it reads those of an expert, int8 (rows, K, classes) in the outputs' scale, in the
    place of the outputs. `kernel`: the C function; several signals may share it.
    """

    name: str
    doubt: bool
    least: int
    most: int
    fraction_bits: int
    step: Callable[[float], int]
    of: Callable[[Array, Params], Int64]
    real: Callable[[Array], Array]
    unit: Callable[[float], float]
    roles: tuple[Role, ...]
    lower: Callable[[float, int], Mapping[str, Array]]
    kernel: str
    heads: bool

    def goes_on(self, values: Array, threshold: int) -> Array:
        """Whether a row of that signal needs the next stage."""
        return np.asarray(values > threshold if self.doubt else values < threshold)

    def doubts(self, values: Array) -> Array:
        """The values with the unsure ones large, whichever way the signal counts."""
        return values if self.doubt else -values

    def in_steps(self, threshold: float, scale: float) -> int:
        """The integer threshold that sends on the rows which a real one would; `scale` is the
        outputs'.
        """
        steps = threshold / self.unit(scale)
        whole = math.floor(steps) if self.doubt else math.ceil(steps)
        return int(min(max(whole, self.least), self.most))

    def sending(self, values: Array, share: float) -> int:
        """The threshold by which at most that share of rows with these signals (rows,) goes on:
        as many as can where several share one.
        """
        count = math.floor(share * len(values))
        if count >= len(values):
            return self.always
        ordered = np.sort(values)
        return int(ordered[len(values) - 1 - count] if self.doubt else ordered[count])

    def sending_real(self, values: Array, share: float) -> float:
        """The same for real signals (rows,), which have no range of their own."""
        count = math.floor(share * len(values))
        if count >= len(values):
            return float(values.min() - 1) if self.doubt else float(values.max() + 1)
        ordered = np.sort(values)
        return float(ordered[len(values) - 1 - count] if self.doubt else ordered[count])

    @property
    def never(self) -> int:
        """The threshold at which no row goes on."""
        return self.most if self.doubt else self.least

    @property
    def always(self) -> int:
        """The threshold at which every row goes on."""
        return self.least if self.doubt else self.most

    def reported(self, values: Array) -> Array:
        """The value as the unsigned Q8.24 number that firmware and traces report."""
        return np.asarray(values << (24 - self.fraction_bits))
