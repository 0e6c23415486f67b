"""One inference as it is kept."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from edgeq.harness.messages import InferResult
from edgeq.strict import Finite, Strict, Whole, first_problem

Code = Annotated[int, Field(ge=-(2**15), lt=2**15)]
UInt32 = Annotated[int, Field(ge=0, lt=2**32)]


@dataclass(frozen=True)
class SampleRecord:
    """One inference. `label` is None without ground truth, `mismatch` None without a reference."""

    index: int
    label: int | None
    output: tuple[int, ...]  # codes of the output ports, one after another
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
        """From the fields of a row or a line. Raises ValueError when they are not a record's."""
        try:
            row = _Row.model_validate(fields)
        except ValidationError as error:
            raise ValueError(first_problem(error)) from None
        return cls(**row.__dict__)

    def fields(self) -> dict[str, Any]:
        """The fields by name, as `parse` takes them."""
        return dataclasses.asdict(self)


class _Row(Strict):
    """The fields of a record as a file has them, each within what a board can say."""

    model_config = ConfigDict(extra="forbid")

    index: Annotated[int, Field(ge=0, lt=2**32)]
    label: Annotated[int, Field(ge=0, lt=2**31)] | None
    output: tuple[Code, ...] = Field(min_length=1, strict=False)
    route: Annotated[int, Field(ge=-1, lt=2**31)]
    uncertainty: Finite
    confidence: Finite
    cycles: Whole
    stack_bytes: UInt32
    layer_cycles: tuple[UInt32, ...] = Field(strict=False)
    mismatch: bool | None
