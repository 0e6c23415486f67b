"""Writes what a profile leaves in its folder: profile.json, profile.txt and report.html."""

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from edgeq.errors import BadInput
from edgeq.harness.trace import SampleRecord
from edgeq.report.page import page
from edgeq.report.profile_text import profile_text

WIDTH = 140


def write_results(
    folder: Path,
    export: dict[str, Any],
    summary: dict[str, Any],
    records: Sequence[SampleRecord],
) -> None:
    """All texts are made before the first is written. Raises BadInput when the folder is closed."""
    files = {
        "profile.json": json.dumps(summary, indent=2) + "\n",
        "profile.txt": _plain(summary),
        "report.html": page(export, summary, records),
    }
    try:
        for name, text in files.items():
            fresh = folder / f".{name}.new"
            fresh.write_text(text, encoding="utf-8")
            os.replace(fresh, folder / name)
    except OSError as error:
        raise BadInput(f"cannot write into {folder}: {error.strerror}") from error


def _plain(summary: dict[str, Any]) -> str:
    file = io.StringIO()
    Console(file=file, width=WIDTH, color_system=None).print(profile_text(summary))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"
