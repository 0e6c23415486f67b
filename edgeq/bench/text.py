"""What a benchmark looks like on a terminal and in a README."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType

from edgeq.errors import BadInput, Mismatch
from edgeq.plain_text import plain
from edgeq.reporting.fitted import Column, FittedTable, Paragraph, Row, name_column, table
from edgeq.reporting.kernel_words import short_kernel

COLUMNS = ("code_bytes", "weight_bytes", "scratch_bytes")
KEYS = {"board", "source", "compiler", "flags", "kernels"}


def bench_text(result: dict[str, Any], verbose: bool = False) -> RenderableType:
    """A row for each kernel and shape; the fastest kernel of a shape and width stands out."""
    result = plain(result)
    titles = ("cycles", "per MAC", "code", "weights", "scratch", "wrong")
    columns = (name_column("shape"), name_column("kernel", short_kernel), *map(Column, titles))
    best = _best(result["kernels"])
    rows = tuple(_row(row, best[row["shape"], row["weight"]]) for row in result["kernels"])
    about = f"Bytes; {_about(result)}{_flags(result, verbose)}"
    return Group(FittedTable("", columns, rows), Paragraph(about))


def networks_text(result: dict[str, Any], verbose: bool = False) -> RenderableType:
    """A row for each network and width."""
    result = plain(result)
    titles = ("weights", "cycles", "ms", "per MAC", "arena", "weights B", "code B")
    rows = []
    for row in result["networks"]:
        ms = 1e3 * row["cycles"] / result["clock_hz"]
        numbers = [f"{row['cycles']:,}", f"{ms:.2f}", f"{row['cycles'] / row['macs']:.3f}"]
        numbers += [f"{row[name]:,}" for name in ("arena_bytes", "weight_bytes", "code_bytes")]
        rows.append((row["network"], row["weights"], *numbers))
    columns = (name_column("network"), *map(Column, titles))
    about = Paragraph(f"{_about(result)}{_flags(result, verbose)}")
    return Group(table("", columns, rows), about)


def _flags(result: dict[str, Any], verbose: bool) -> str:
    """All flags, or those that choose the code and how to see the rest."""
    if verbose:
        return f", {' '.join(result['flags'])}"
    chosen = [f for f in result["flags"] if f.startswith(("-O", "-mcpu"))]
    return f", {' '.join(chosen)}; --verbose has all flags"


def _row(row: dict[str, Any], least: int) -> Row:
    name = row["kernel"].removeprefix(f"edgeq_{row['op']}_")  # the shape tells the op
    numbers = [f"{row['cycles']:,}", f"{row['cycles_per_mac']:.3f}"]
    numbers += [f"{row[column]:,}" for column in COLUMNS]
    style = "red" if row["mismatches"] else "bold" if row["cycles"] == least else "dim"
    return Row((row["shape"], name, *numbers, f"{row['mismatches']:,}"), style)


def _best(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], int]:
    best: dict[tuple[str, str], int] = {}
    for row in rows:
        key = row["shape"], row["weight"]
        best[key] = min(row["cycles"], best.get(key, row["cycles"]))
    return best


def refuse_differences(result: dict[str, Any]) -> None:
    """Raises Mismatch when a kernel and the reference disagree, or its cycles follow the data."""
    wrong = [f"{r['kernel']} on {r['shape']}" for r in result["kernels"] if r["mismatches"]]
    if wrong:
        raise Mismatch(f"these differ from the reference: {', '.join(wrong)}")
    uneven = [f"{r['kernel']} on {r['shape']}" for r in result["kernels"] if r["cycles_spread"] > 1]
    if uneven:
        raise Mismatch(f"the cycles of these depend on the data: {', '.join(uneven)}")


def read_results(path: Path) -> dict[str, Any]:
    """The JSON object of one run. Raises BadInput."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} holds no JSON of `edgeq bench kernels --json`: {error}") from None
    if not isinstance(result, dict) or not set(result) >= KEYS:
        raise BadInput(f"{path} is not what `edgeq bench kernels --json` prints")
    return dict(result)


def markdown(results: Sequence[dict[str, Any]]) -> str:
    """A table for each board: cycles per MAC with each compiler, bytes of the first."""
    boards = dict.fromkeys(result["board"] for result in results)
    return "\n\n".join(_board_table([r for r in results if r["board"] == b]) for b in boards)


def _board_table(results: Sequence[dict[str, Any]]) -> str:
    found: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for i, result in enumerate(results):
        for row in result["kernels"]:
            found.setdefault((row["shape"], row["kernel"]), {})[i] = row
    names = [result["compiler"] for result in results]
    heads = ["shape", "kernel", *(f"cycles/MAC, {n}" for n in names), "code", "weights", "scratch"]
    lines = [f"| {' | '.join(heads)} |", "|---|---|" + "---:|" * (len(heads) - 2)]
    for (shape, kernel), rows in found.items():
        counts = [
            f"{rows[i]['cycles_per_mac']:.3f}" if i in rows else "" for i in range(len(names))
        ]
        sizes = [f"{next(iter(rows.values()))[name]:,}" for name in COLUMNS]
        lines.append(f"| {shape} | {kernel} | {' | '.join([*counts, *sizes])} |")
    return "\n".join([*lines, "", *(f"- {_about(r)}: `{' '.join(r['flags'])}`" for r in results)])


def _about(result: dict[str, Any]) -> str:
    return f"{result['board']}, {result['source']} cycles, {result['compiler']}"
