"""A plan made and kept: its own file, and the folder of all that it rests on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeq.plan_file import FORMAT, Plan, Predicted, write_plan
from edgeq.planning import folder as folders
from edgeq.planning.plan_report import told
from edgeq.planning.planner import Asked, Tell, plan_widths
from edgeq.planning.rows import Rows
from edgeq.planning.table import Watch


def plan_written(
    given: Rows, asked: Asked, out: Path, run: str | Path | None, watch: Watch, tell: Tell
) -> dict[str, Any]:
    """`plan_widths`, its plan in `out` and the rest in `run`; nothing is left where it fails."""
    asked.check()
    folders.check_free(run)
    result = plan_widths(given.model, asked, watch, tell)
    result |= {"model_digest": given.digest, "data": given.source, "out": str(out)}
    _write(out, result)
    return folders.kept(run, told(result), given)


def _write(path: Path, result: Mapping[str, Any]) -> None:
    figures = result["predicted"]
    keys = ("cycles", "latency_s", "energy_j", "flash_bytes", "ram_bytes", "sensitivity")
    plan = Plan(
        format=FORMAT,
        version=1,
        model=result["model"],
        model_digest=result["model_digest"],
        board=result["board"],
        widths=dict(result["widths"]),
        budget=dict(result["budget"]),
        predicted=Predicted(**{key: figures[key] for key in keys}),
    )
    write_plan(path, plan)
