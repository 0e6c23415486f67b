"""What a current meter recorded: samples, marker edges, and what was lost on the way.

Everything is in samples of the meter's own clock. An edge of the marker pin is the index of the
first sample after it, so the samples between two edges are `start:end`, and no time of the host
enters an energy.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, RootModel, ValidationError

from edgeq.errors import BadInput, Meter
from edgeq.files import writing
from edgeq.plain_json import decode_json
from edgeq.strict import Strict, first_problem

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
MOST = 1e6  # amperes, volts
MOST_LATE = 1_000_000  # edges after the last sample of a capture
_COLUMNS = {"window": "u1", "current_a": "f8", "voltage_v": "f8", "falls": "u2", "rises": "u2"}
_Root = TypeVar("_Root", bound=RootModel[Any])


@dataclass(frozen=True)
class PowerTrace:
    """One capture. `rises` is None where the meter reports falling edges only."""

    meter: str
    current_a: Floats  # (samples,)
    voltage_v: Floats  # (samples,), constant where the meter only sets it
    falls: Indices  # (edges,), sorted
    rises: Indices | None
    rate_hz: float
    started: str  # ISO 8601, UTC, by the host: for the record only
    lost: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Length by the meter's clock."""
        return len(self.current_a) / self.rate_hz

    def refuse_losses(self) -> None:
        """Raises Meter when anything was lost: such samples are in no order one can trust."""
        if self.lost:
            raise Meter(
                f"{self.meter} lost data: {'; '.join(self.lost)}; lower --meter-rate, use another "
                "USB port, and measure again"
            )

    def joules(self, starts: Indices, ends: Indices) -> Floats:
        """Energy of each span of samples, (spans,)."""
        return self._integral(self.current_a * self.voltage_v, starts, ends)

    def coulombs(self, starts: Indices, ends: Indices) -> Floats:
        """Charge of each span of samples, (spans,)."""
        return self._integral(self.current_a, starts, ends)

    def _integral(self, values: Floats, starts: Indices, ends: Indices) -> Floats:
        sums = np.concatenate(([0.0], np.cumsum(values)))
        return np.asarray((sums[ends] - sums[starts]) / self.rate_hz, np.float64)


def write_current(
    traces: Sequence[PowerTrace],
    path: Path,
    inferences: Sequence[Sequence[tuple[int, int]]] = (),
) -> None:
    """The raw samples of some captures as one Parquet table, their facts as its metadata.

    `inferences`: (route, cycles) of what ran in each capture, in order; `read_inferences` gives it.

    A row is a sample: `window` u8 (which capture), `current_a` and `voltage_v` f64, `falls` and
    `rises` u16 (edges of the marker just before the sample). Edges after the last sample of a
    capture are kept in the metadata. Raises BadInput when the file cannot be written.
    """
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    tables = [pa.table(_columns(window, trace)) for window, trace in enumerate(traces)]
    table = pa.concat_tables(tables).replace_schema_metadata(
        {
            "edgeq_captures": json.dumps([_facts(trace) for trace in traces]),
            "edgeq_inferences": json.dumps(inferences),
        }
    )
    with writing(path) as file:
        pq.write_table(table, file, compression="zstd")


class _Capture(Strict):
    """The facts of a capture, as the table's metadata has them."""

    meter: str
    rate_hz: float = Field(gt=0)
    started: str
    lost: tuple[str, ...]
    levels: bool
    late_falls: int = Field(ge=0, le=MOST_LATE)
    late_rises: int = Field(ge=0, le=MOST_LATE)


class _Inferences(RootModel[list[list[tuple[int, int]]]]):
    """(route, cycles) of each inference of each capture."""

    model_config = ConfigDict(strict=True)


class _Captures(RootModel[list[_Capture]]):
    """Of all captures of a table."""


def read_current(path: Path) -> list[PowerTrace]:
    """The captures of a table that `write_current` wrote. Raises BadInput when it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        facts = _metadata(path, "edgeq_captures", _Captures).root
        table = pq.read_table(path)
        columns = {name: table[name].to_numpy() for name in _COLUMNS}
        if any(columns[name].dtype != dtype for name, dtype in _COLUMNS.items()):
            raise ValueError("its columns have other types")
        window = columns["window"]
        return [
            _trace({name: column[window == number] for name, column in columns.items()}, fact)
            for number, fact in enumerate(facts)
        ]
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        raise BadInput(f"{path} is no table of current samples: {error}") from None


def read_inferences(path: Path) -> list[list[tuple[int, int]]]:
    """(route, cycles) of each inference of each capture, in order. Raises BadInput as above."""
    import pyarrow as pa

    try:
        return _metadata(path, "edgeq_inferences", _Inferences).root
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        raise BadInput(f"{path} is no table of current samples: {error}") from None


def _metadata(path: Path, key: str, model: type[_Root]) -> _Root:
    import pyarrow.parquet as pq

    stored = (pq.read_schema(path).metadata or {})[key.encode()]
    decode_json(stored)
    try:
        return model.model_validate_json(stored)
    except ValidationError as error:
        raise ValueError(first_problem(error)) from None


def _columns(window: int, trace: PowerTrace) -> dict[str, NDArray[np.generic]]:
    samples = len(trace.current_a)
    return {
        "window": np.full(samples, window, np.uint8),
        "current_a": trace.current_a,
        "voltage_v": trace.voltage_v,
        "falls": _counts(trace.falls, samples),
        "rises": _counts(_none(trace.rises), samples),
    }


def _none(edges: Indices | None) -> Indices:
    return np.empty(0, np.int64) if edges is None else edges


def _counts(edges: Indices, samples: int) -> NDArray[np.generic]:
    return np.bincount(edges[edges < samples], minlength=samples).astype(np.uint16)


def _facts(trace: PowerTrace) -> dict[str, object]:
    samples = len(trace.current_a)
    kept = {"meter", "rate_hz", "started", "lost"}
    return {
        **{k: v for k, v in dataclasses.asdict(trace).items() if k in kept},
        "levels": trace.rises is not None,
        "late_falls": int((trace.falls >= samples).sum()),
        "late_rises": int((_none(trace.rises) >= samples).sum()),
    }


def _trace(columns: dict[str, NDArray[np.generic]], facts: _Capture) -> PowerTrace:
    def edges(kind: str, late: int) -> Indices:
        counts = columns[kind].astype(np.int64)
        beyond = [len(counts)] * late
        return np.concatenate((np.repeat(np.arange(len(counts)), counts), beyond)).astype(np.int64)

    current, voltage = (columns[name].astype(np.float64) for name in ("current_a", "voltage_v"))
    if not (np.abs(np.concatenate((current, voltage))) < MOST).all():  # NaN is not, either
        raise ValueError("a sample of it is no current or voltage")
    return PowerTrace(
        meter=facts.meter,
        current_a=current,
        voltage_v=voltage,
        falls=edges("falls", facts.late_falls),
        rises=edges("rises", facts.late_rises) if facts.levels else None,
        rate_hz=facts.rate_hz,
        started=facts.started,
        lost=facts.lost,
    )
