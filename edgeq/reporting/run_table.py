"""The table of one run as plain data: a README shows it, a file keeps it, a test compares them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edgeq.files import write_file
from edgeq.reporting.gain_chart import gain_chart
from edgeq.reporting.markdown import Row, build_line, code, commit_of, table


def run_table(
    rows: Iterable[Row], profile: Mapping[str, Any], called: str, folder: Path, seed: int | None
) -> dict[str, Any]:
    """`rows`, the chart of the gain of the model `called` so, build, commit of `folder`, seed."""
    return {
        "rows": [list(row) for row in rows],
        "chart": gain_chart(profile["alone"], called).splitlines(),
        "build": build_line(dict(profile)),
        "commit": commit_of(folder),
        "seed": seed,
    }


def run_markdown(made: Mapping[str, Any], more: Iterable[Row] = ()) -> str:
    """What `run_table` gives, with further rows below its own."""
    rows = [(what, value, where) for what, value, where in made["rows"]]
    origin = "" if made["seed"] is None else f"Seed {made['seed']}, "
    end = f"{made['build']} {origin}commit {made['commit']}."
    return "\n\n".join([table([*rows, *more]), code("\n".join(made["chart"])), end])


def keep_table(made: Mapping[str, Any], path: Path) -> None:
    """Writes it as JSON."""
    write_file(path, json.dumps(made, indent=1).encode() + b"\n")
