"""What a model costs on one board or several, for a terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.plain_text import plain
from edgeq.reporting.clock_model import clock_words
from edgeq.reporting.energy_words import KINDS, energy_words
from edgeq.reporting.profile_text import joules, milliseconds, percent

Entry = dict[str, Any]


def estimate_text(result: Entry) -> RenderableType:
    """The same object as `edgeq estimate --json`: boards, routes and layers side by side."""
    result = plain(result)
    fitting = [e for e in result["boards"] if e["fits"]]
    parts: list[RenderableType] = [Text(f"{result['model']}, before any flash", style="bold")]
    parts += [_boards(fitting), Text(), routes_table(fitting), Text(), _layers(fitting), Text()]
    parts += [Text(source_line(e)) for e in fitting]
    parts += [Text(bound_line(e)) for e in fitting]
    for entry in fitting:
        parts += [Text(f"note: {entry['board']}: {n}", style="yellow") for n in entry["notes"]]
    refused = (e for e in result["boards"] if not e["fits"])
    parts += [Text(f"{e['board']}: {e['error']}", style="red") for e in refused]
    return Group(*parts)


def source_line(entry: Entry) -> str:
    """Where the figures of a board come from: rules, constants, energy and build."""
    build = " ".join([entry["compiler"], *(f for f in entry["flags"] if f.startswith("-O"))])
    energy = "no figures"
    if entry["energy_source"]:
        energy = f"{energy_words(entry['source'], entry['energy_kind'])}: {entry['energy_source']}"
    return (
        f"{entry['board']}: {entry['source']}, {clock_words(entry)}, "
        f"{entry['clock_hz'] / 1e6:g} MHz; energy: {energy}; {build}"
    )


def bound_line(entry: Entry) -> str:
    """Whether a route's time may follow its input, and what says so; the flash's misses apart."""
    stalls = [cycles for route in entry["routes"] for cycles in route["flash_stall_cycles"]]
    apart = ""
    if max(stalls):
        apart = f"; misses of the flash's caches apart: {min(stalls):,} to {max(stalls):,} cycles"
    return f"{entry['board']}: constant time {entry['constant_time']['said']}{apart}"


def cost_lines(entry: Entry) -> tuple[str, ...]:
    """Best, expected and worst case of a board's entry, in words."""
    expected = entry["expected"]
    over = f" over {expected['rows']} {expected['of']} rows" if expected else ""
    cases = f"best {cost(entry['best'])}; expected{over} {cost(expected)}"
    words = energy_words(entry["source"], entry["energy_kind"])
    return (f"an inference ({words}): {cases}; worst {cost(entry['worst'])}",)


def cost(figures: Entry | None) -> str:
    """ "1.23 ms, 0.4 mJ" of a case; a dash for None."""
    if figures is None:
        return "-"
    spent = "" if figures["energy_j"] is None else f", {joules(figures['energy_j'])}"
    return f"{milliseconds(1e3 * figures['latency_s'])} ms{spent}"


def band(figures: Entry) -> str:
    """The band of the energy, or a dash."""
    low_high = figures["energy_band_j"]
    return "-" if low_high is None else f"{joules(low_high[0])} to {joules(low_high[1])}"


def table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    """A table without borders: `left` columns are names, `right` ones numbers."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in left:
        made.add_column(column, overflow="fold")
    for column in right:
        made.add_column(column, justify="right", overflow="fold")
    return made


def _boards(entries: Sequence[Entry]) -> Table:
    made = table("Boards", ("board",), ("flash B", "ram B", "best", "expected", "worst"))
    for e in entries:
        sizes = (f"{e['flash_bytes']:,}", f"{e['ram_bytes']:,}")
        made.add_row(e["board"], *sizes, *(cost(e[c]) for c in ("best", "expected", "worst")))
    return made


def routes_table(entries: Sequence[Entry]) -> Table:
    """Each route on each board: a whole inference, shared layers and router included."""
    columns = ("cycles", "ms", "energy", "band", "rests on", "share")
    made = table("Routes (a whole inference)", ("answered by", "board"), columns)
    for i, route in enumerate(entries[0]["routes"]):
        for entry in entries:
            one = entry["routes"][i]
            made.add_row(
                Text(route["name"]),
                entry["board"],
                f"{one['cycles']:,}",
                milliseconds(1e3 * one["latency_s"]),
                joules(one["energy_j"]),
                band(one),
                "-" if entry["energy_kind"] is None else KINDS[entry["energy_kind"]],
                percent(one["share"]),
            )
    return made


def _layers(entries: Sequence[Entry]) -> Table:
    made = table("Layers (cycles)", ("name", "op"), [e["board"] for e in entries])
    for i, layer in enumerate(entries[0]["layers"]):
        cycles = (f"{e['layers'][i]['cycles']:,}" for e in entries)
        made.add_row(Text(layer["name"]), layer["op"], *cycles)
    return made
