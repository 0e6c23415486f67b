"""What the doctor found about one thing."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `id` is `<area>.<thing>`; `fix` the next step, None if none."""

    id: str
    status: Status
    found: str
    fix: str | None = None
