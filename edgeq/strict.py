"""What edgeq wrote earlier and reads again: JSON under pydantic models, nothing converted.

Whoever hands such a file on may have changed it; one clear line says what is wrong with it.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgeq.plain_json import decode_json, read_json

Whole = Annotated[int, Field(ge=0, lt=2**63)]
Share = Annotated[float, Field(ge=0, le=1)]
Finite = Annotated[float, Field(ge=0)]
Size = Annotated[int, Field(ge=1, le=1 << 20)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Strict(BaseModel):
    """A record of a file. Types are not converted; keys that are not declared may be there."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", strict=True, allow_inf_nan=False, protected_namespaces=()
    )


def _refuse_version(value: object, known: int) -> None:
    """ValueError for a file's object of another version than the `known` one, or of none."""
    found = value.get("version") if isinstance(value, dict) else known
    if found is None:
        raise ValueError(f"it has no version, as an older edgeq wrote it; this one reads {known}")
    if type(found) is not int or found != known:
        raise ValueError(f"its version is {str(found)[:20]!r}, this edgeq reads {known}")


class Check(Strict):
    """How one form of the model agrees with the integer reference: `checks` of an export."""

    name: str
    samples: Whole
    mismatches: Whole
    max_lsb: Whole | None  # None: nothing ran that form
    top1_agreement: Share | None
    route_agreement: Share | None


class PortEntry(Strict):
    """An input or output of the model: `shape` as its data have it, codes of `dtype`."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,31}$")]
    shape: Annotated[list[Size], Field(min_length=1, max_length=4)]
    dtype: Literal["int8", "int16"]
    scale: Annotated[float, Field(gt=0)]
    zero_point: Annotated[int, Field(ge=-128, le=127)]


class ThresholdPoint(Strict):
    """What a threshold did to the rows of a promise."""

    share: Share
    disagreement: Share
    latency_s: Finite
    energy_j: Finite | None
    accuracy: Share | None


class Threshold(Strict):
    """`threshold` of an export: a promise and the curve that its point was taken from."""

    limit: Share
    confidence: Share
    against: str
    source: str
    chosen: Whole
    curve: list[ThresholdPoint] = Field(min_length=1)

    @model_validator(mode="after")
    def _points_at_one(self) -> "Threshold":
        if self.chosen >= len(self.curve):
            raise ValueError("the chosen threshold is none of its curve")
        return self


_Model = TypeVar("_Model", bound=BaseModel)


def read_strict(
    path: Path, model: type[_Model], version: int | None = None
) -> tuple[_Model, dict[str, Any]]:
    """A JSON file under its model, and as the plain object. Raises OSError, or ValueError.

    `version`: the only one that is read, where the object has one.
    """
    value = read_json(path)
    if version is not None:
        _refuse_version(value, version)
    return check_strict(value, path.read_bytes(), model), cast(dict[str, Any], value)


def decode_strict(data: bytes, model: type[_Model]) -> tuple[_Model, dict[str, Any]]:
    """The same of bytes."""
    value = decode_json(data)
    return check_strict(value, data, model), cast(dict[str, Any], value)


def check_strict(value: object, data: bytes, model: type[_Model]) -> _Model:
    """The model of `data`, whose plain value is known. Raises ValueError: where, and what."""
    if not isinstance(value, dict):
        raise ValueError(f"it holds {type(value).__name__}, not an object")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from None


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong, and how many more there are."""
    first, *more = error.errors(include_url=False, include_context=False, include_input=False)
    where = ".".join(map(str, first["loc"])) or "it"
    return f"{where[:120]}: {first['msg']}" + (f" (and {len(more)} more)" if more else "")
