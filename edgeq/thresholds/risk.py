"""How many disagreements some rows may show, if their true rate is to lie below a limit.

Exact binomial (Clopper-Pearson) tests; rows must be independent draws of what the device will see.
"""

import math
import re
from dataclasses import dataclass

from edgeq.errors import BadInput

MOST_ROWS = 10**7  # needed for a promise: more, and it is a typing error
_SHARE = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*%\s*")


def read_share(name: str, text: str) -> float:
    """A share in percent, such as "2%", as a fraction between 0 and 1; BadInput otherwise."""
    found = _SHARE.fullmatch(text)
    value = float(found[1]) / 100 if found else 0.0
    if not 0 < value < 1:
        raise BadInput(f"{name} {text!r} is no share; give one above 0% and below 100%, as 2%")
    return value


def upper_bound(disagreements: int, rows: int, confidence: float) -> float:
    """The one-sided Clopper-Pearson upper bound of the rate, (0, 1]."""
    from scipy.stats import beta

    if disagreements >= rows:
        return 1.0
    return float(beta.ppf(confidence, disagreements + 1, rows - disagreements))


def ends_of_few(
    losses: int, gains: int, units: int, confidence: float = 0.95
) -> tuple[float, float]:
    """The interval of a mean difference of `units` independent ones in -1..1, few of which differ.

    Resamples of a few hardly vary, of none not at all. Here each end is a difference of rates by
    their Clopper-Pearson bounds, which share the error where there are two: never too narrow.
    Every profile asks for it, so it does without scipy: sums of few terms.
    """
    return -_most(losses, gains, units, confidence), _most(gains, losses, units, confidence)


def _most(up: int, down: int, units: int, confidence: float) -> float:
    """The upper end of the rate of `up` less that of `down`; no error is spent on a rate of 0."""
    tail = (1 - confidence) / (4 if down else 2)
    least = _rate_of(down - 1, units, 1 - tail) if down else 0.0
    return _rate_of(up, units, tail) - least


def _rate_of(most: int, units: int, share: float) -> float:
    """The rate at which at most `most` of the units are seen with probability `share`."""
    if most >= units:
        return 1.0
    ways = [math.log(math.comb(units, k)) for k in range(most + 1)]
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        seen, not_seen = math.log(middle), math.log1p(-middle)
        chance = math.fsum(
            math.exp(way + k * seen + (units - k) * not_seen) for k, way in enumerate(ways)
        )
        low, high = (middle, high) if chance > share else (low, middle)
    return middle


@dataclass(frozen=True)
class Promise:
    """The rate of disagreement is below `limit`, with this confidence; both in (0, 1)."""

    limit: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not (0 < self.limit < 1 and 0 < self.confidence < 1):
            raise BadInput(
                f"a limit of {self.limit:g} at confidence {self.confidence:g} is no promise; both "
                "lie between 0 and 1"
            )
        if self.rows_needed > MOST_ROWS:
            raise BadInput(
                f"a limit of {self.limit:g} at confidence {self.confidence:g} needs "
                f"{self.rows_needed:,} rows, above {MOST_ROWS:,}; allow more disagreement"
            )

    def __str__(self) -> str:
        return f"below {self.limit:.4g} with {self.confidence:.4g} confidence"

    @property
    def rows_needed(self) -> int:
        """The fewest rows that prove it, when none of them disagrees: 149 for 2 % at 95 %."""
        return math.ceil(math.log(1 - self.confidence) / math.log1p(-self.limit))

    def p_value(self, disagreements: int, rows: int) -> float:
        """P(that few disagreements among `rows`), were the true rate at the limit."""
        from scipy.stats import binom

        return float(binom.cdf(disagreements, rows, self.limit))

    def tight(self, rows: int) -> tuple[int, int]:
        """(disagreements, tested): the most that `rows` rows may show, and of how many.

        As many disagreements as are allowed among all rows are also allowed among the `tested`
        first: these prove the same, and have fewer chances to disagree. A test of exactly the
        confidence asked for would be random; this one comes nearest without chance. BadInput,
        with the number needed, when `rows` cannot prove it at all.
        """
        most = self._allowed(rows)
        if most < 0:
            raise BadInput(
                f"{rows} rows cannot show a disagreement below {self.limit:.4g} with "
                f"{self.confidence:.4g} confidence: it takes {self.rows_needed} rows even if none "
                "disagrees; give more rows, or ask for less"
            )
        low, high = most, rows  # the fewest rows that still allow `most`
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._passes(most, middle) else (middle, high)
        return most, high

    def _passes(self, disagreements: int, rows: int) -> bool:
        return self.p_value(disagreements, rows) <= 1 - self.confidence

    def _allowed(self, rows: int) -> int:
        """The most disagreements of `rows` rows that still prove it; -1 when not even none."""
        low, high = -1, rows
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._passes(middle, rows) else (low, middle)
        return low
