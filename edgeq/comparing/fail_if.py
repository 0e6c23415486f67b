"""`--fail-if "latency>+5%"`: a metric, a comparison, a signed change of B against A."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edgeq.errors import BadInput

RELATIVE = ("latency", "p50", "p95", "p99", "spread", "energy", "flash", "ram")
IN_POINTS = ("accuracy",)
METRICS = (*RELATIVE, *IN_POINTS)
FORM = 'write METRIC>+X% or METRIC<-X%, as in "latency>+5%" or "accuracy<-1pt"'

_RULE = re.compile(
    r"\s*(?P<metric>\w+)\s*(?P<sign>[<>]=?)\s*(?P<change>[+-]\d+(?:\.\d+)?)\s*(?P<unit>%|pt)\s*"
)


@dataclass(frozen=True)
class Rule:
    """`limit` is a fraction: 0.05 for +5% and for +5pt."""

    text: str
    metric: str
    comparison: str
    limit: float

    def holds(self, change: float) -> bool:
        """Whether a change (a fraction) is beyond the limit."""
        beyond = change > self.limit if self.comparison[0] == ">" else change < self.limit
        return beyond or (len(self.comparison) == 2 and change == self.limit)


def parse_rule(text: str) -> Rule:
    """The rule of one --fail-if; BadInput, naming what is allowed, for anything else."""
    found = _RULE.fullmatch(text)
    if found is None:
        raise BadInput(f"--fail-if {text!r}: {FORM}; metrics: {', '.join(METRICS)}")
    metric, unit = found["metric"], found["unit"]
    if metric not in METRICS:
        raise BadInput(f"--fail-if {text!r}: no metric {metric!r}; there are {', '.join(METRICS)}")
    wanted = "pt" if metric in IN_POINTS else "%"
    if unit != wanted:
        kind = "points (pt)" if wanted == "pt" else "percent (%)"
        raise BadInput(f"--fail-if {text!r}: {metric} changes in {kind}, not in {unit}")
    return Rule(text.strip(), metric, found["sign"], float(found["change"]) / 100)


def apply_rules(
    rules: tuple[Rule, ...], changes: Mapping[str, float | None]
) -> list[dict[str, object]]:
    """What each rule found; BadInput when the runs do not have its metric."""
    found = []
    for rule in rules:
        change = changes.get(rule.metric)
        if change is None:
            there = [name for name, value in changes.items() if value is not None]
            raise BadInput(
                f"--fail-if {rule.text!r}: these runs give no change of {rule.metric}; they have "
                f"{', '.join(there)}"
            )
        found.append({"rule": rule.text, "change": change, "holds": rule.holds(change)})
    return found
