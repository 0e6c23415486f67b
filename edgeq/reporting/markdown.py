"""Tables for a README, from the JSON objects of an export and a profile: no number is typed."""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgeq.errors import BadInput
from edgeq.files import write_file
from edgeq.reporting.energy_words import energy_words

START, END = "<!-- table: start, written by a script -->", "<!-- table: end -->"
_MARKS = START, END

Row = tuple[str, str, str]


def size_rows(export: dict[str, Any]) -> list[Row]:
    """What the model takes of its target, and the MACs when the costliest expert answers."""
    target = export["target"]
    return [
        ("MACs an inference, at most", f"{macs(export):,}", "counted"),
        ("arena", f"{export['arena_bytes']:,} bytes", target),
        ("flash, weights and code", f"{export['flash_bytes']:,} bytes", target),
        ("weights", f"{export['weight_bytes']:,} bytes", target),
    ]


def macs(export: dict[str, Any]) -> int:
    """Multiply-accumulates of the shared layers and the costliest expert."""
    own = [e["macs"] for e in export["experts"]]
    return int(sum(i["macs"] for i in export["layers"]) - sum(own) + max(own, default=0))


def _scores(profile: dict[str, Any], where: str) -> list[Row]:
    if profile["accuracy"] is None:
        return []
    return [
        (f"accuracy, {profile['samples']} samples", f"{profile['accuracy']:.2%}", where),
        ("macro F1", f"{profile['macro_f1']:.3f}", where),
    ]


def profile_rows(profile: dict[str, Any]) -> list[Row]:
    """What a board did with a data set; nothing here is silicon unless the board file says so."""
    silicon = profile["evidence"] == "silicon"
    where = profile["board"] if silicon else f"{profile['board']} (no silicon)"
    rows = [
        *_scores(profile, where),
        ("samples that differ from the reference", str(profile["mismatches"]), where),
        *_latency("latency, mean", profile["latency"], where),
    ]
    for expert in profile["experts"]:
        count = f"{expert['count']} of {profile['samples']} samples"
        rows.append((f"answered by {expert['name']}", count, where))
        rows += _latency(f"latency of {expert['name']}, mean", expert["latency"], where)
    joules = profile["energy"]["joules_mean"]
    if joules is not None:
        source = energy_words(profile["energy"]["source"], profile["energy"].get("kind"))
        rows.append(("energy an inference, mean", f"{joules * 1e6:,.1f} uJ, {source}", where))
    return rows


def _latency(name: str, latency: dict[str, Any], where: str) -> list[Row]:
    if latency["mean"] is None:
        return []
    value = f"{latency['mean']:.3f} {latency['unit']} (std {latency['std']:.3f})"
    return [(name, f"{value}, {latency['source']}", where)]


def build_line(profile: dict[str, Any]) -> str:
    """Compiler, flags and clock of the firmware that was measured."""
    flags = " ".join(profile["flags"] or ())
    clock = profile["clock_hz"] / 1e6
    return f"Build: {profile['compiler']}, `{flags}`; {profile['board']} at {clock:g} MHz."


def table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | value | where |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def commit_of(folder: Path) -> str:
    """The commit that a folder's figures were made at; "+" where files had changed since."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--abbrev=12"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    return shown.stdout.strip() or "unknown"


def code(text: str) -> str:
    """Lines as they stand."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def write_table(readme: Path, text: str, name: str = "") -> None:
    """Puts `text` between the two marks of `readme`; BadInput when a mark is missing.

    `name` tells the marks of one table of a file from those of another.
    """
    start, end = (mark.replace("table:", f"table {name}:" if name else "table:") for mark in _MARKS)
    whole = readme.read_text(encoding="utf-8")
    head, found_start, rest = whole.partition(start)
    _, found_end, tail = rest.partition(end)
    if not (found_start and found_end):
        raise BadInput(f"{readme} lacks the marks {start} and {end}; restore them")
    write_file(readme, f"{head}{start}\n{text}\n{end}{tail}".encode())
