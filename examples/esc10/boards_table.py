"""What the ESC-10 example costs on each board, written into its README.

    python examples/esc10/boards_table.py [--compiler auto|gcc|zig] [--prove] [--write-table]

Every figure is modelled: the firmware that would be flashed, on the virtual twin of each board.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from edgeq import pipeline
from edgeq.errors import EdgeqError
from edgeq.reporting.energy_words import energy_words
from edgeq.reporting.estimate_text import band, source_line
from edgeq.reporting.markdown import write_table
from edgeq.reporting.profile_text import joules, milliseconds, percent

HERE = Path(__file__).parent
CHECKPOINT = HERE / "checkpoint.pt"
README = HERE / "README.md"
NAME = "boards"
COLUMNS = (
    "board",
    "answered by",
    "cycles",
    "latency",
    "energy (band)",
    "energy rests on",
    "flash stalls",
    "rules",
)
BOARDS = ("nucleo_l4r5zi", "nucleo_f446re", "nrf52840dk", "rpi_pico")


def markdown(result: dict[str, Any]) -> str:
    """A row for each board and expert, then where its figures come from."""
    lines = [
        f"| {' | '.join(COLUMNS)} |",
        f"|{len(COLUMNS) * '---|'}",
        *(_row(entry, route) for entry in result["boards"] for route in entry["routes"]),
        "",
        "<details><summary>Clock model, source of the energy, compiler and flags</summary>",
        "",
        *(f"- {source_line(e)}; {flags(e)}" for e in result["boards"]),
        "</details>",
    ]
    return "\n".join(lines)


def _row(entry: dict[str, Any], route: dict[str, Any]) -> str:
    energy, rests_on = "no figures", "-"
    if route["energy_j"] is not None:
        energy = f"{joules(route['energy_j'])} ({band(route)})"
        rests_on = energy_words(entry["source"], entry["energy_kind"])
    cells = (
        f"`{entry['board']}`",
        route["name"],
        f"{route['cycles']:,}",
        f"{milliseconds(1e3 * route['latency_s'])} ms",
        energy,
        rests_on,
        percent(route["flash_stall_cycles"][1] / route["cycles"]),
        f"{entry['source']}, {entry['rules']}",
    )
    return f"| {' | '.join(cells)} |"


def flags(entry: dict[str, Any]) -> str:
    """Compiler flags but the warnings."""
    return f"`{' '.join(f for f in entry['flags'] if not f.startswith('-W'))}`"


def main(arguments: list[str] | None = None) -> int:
    """Estimates, prints, and writes the table if asked to; returns edgeq's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--compiler", default="auto", choices=("auto", "gcc", "zig"))
    parser.add_argument("--prove", action="store_true", help="trace every instruction, too")
    parser.add_argument("--write-table", action="store_true", help="into the README")
    chosen = parser.parse_args(arguments)
    try:
        result = pipeline.estimate(
            CHECKPOINT,
            BOARDS,
            compiler=chosen.compiler,
            prove=chosen.prove,
            watch=lambda board: print(f"boards_table: {board}", file=sys.stderr, flush=True),
        )
        text = markdown(result)
        print(text)
        if chosen.write_table:
            write_table(README, text, NAME)
    except EdgeqError as error:
        print(f"boards_table: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
