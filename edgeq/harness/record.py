"""One inference as it is kept."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeq.harness.messages import InferResult


@dataclass(frozen=True)
class SampleRecord:
    """One inference. `label` is None without ground truth, `mismatch` None without a reference."""

    index: int
    label: int | None
    output: tuple[int, ...]  # int8, as the model gives them
    route: int  # expert, -1 without a mixture
    uncertainty: float
    confidence: float
    cycles: int
    stack_bytes: int
    layer_cycles: tuple[int, ...]  # in the order of the manifest's layers; 0 = did not run
    mismatch: bool | None = None

    @classmethod
    def of(
        cls, result: InferResult, label: int | None = None, mismatch: bool | None = None
    ) -> "SampleRecord":
        """The record of a result that came over the link."""
        return cls(
            index=result.id,
            label=label,
            output=tuple(result.output.tolist()),
            route=result.route,
            uncertainty=result.uncertainty,
            confidence=result.confidence,
            cycles=result.cycles,
            stack_bytes=result.stack_bytes,
            layer_cycles=result.layer_cycles,
            mismatch=mismatch,
        )

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> "SampleRecord":
        """From the fields of a row or a line. Raises ValueError when some lack or are unknown."""
        names = {field.name for field in dataclasses.fields(cls)}
        if fields.keys() != names:
            raise ValueError(f"fields {sorted(fields)}, expected {sorted(names)}")
        tuples = {name: tuple(fields[name]) for name in ("output", "layer_cycles")}
        return cls(**{**fields, **tuples})

    def fields(self) -> dict[str, Any]:
        """The fields by name, as `parse` takes them."""
        return dataclasses.asdict(self)
