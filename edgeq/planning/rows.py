"""What a study starts from: the float model, and the rows and labels that it is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.arrays import Array, has_key, input_arrays, read_npz
from edgeq.errors import BadInput
from edgeq.sources import Trained, source_of

if TYPE_CHECKING:
    from edgeq.nn import Model

STORED = "the model's calibration set"


@dataclass(frozen=True)
class Rows:
    """`x` None: the model's own calibration rows. `y`: labels of the file, if it has any."""

    model: "Model"
    digest: str
    x: Mapping[str, Array] | Array | None
    y: Array | None
    source: str

    @classmethod
    def of(cls, model: "str | Path | Model", calibration: Path | None) -> "Rows":
        """Raises BadInput for a model of integers, for no rows, and for a file without key x."""
        source = source_of(model)
        if not isinstance(source, Trained):
            raise BadInput(f"{source.path} holds integers, whose widths are settled already")
        found = source.model
        if calibration is None:
            if found.calibration is None:
                raise BadInput(
                    f"model {found.name!r} stores no calibration set; pass --calibration X.npz "
                    "(key x, at least a few dozen real rows)"
                )
            return cls(found, source.digest, None, None, STORED)
        given = input_arrays(calibration, found.inputs)
        x = given if len(given) > 1 else next(iter(given.values()))
        y = read_npz(calibration, "y")[0] if has_key(calibration, "y") else None
        return cls(found, source.digest, x, y, str(calibration))
