"""What a model costs on one board or several, for a terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from edgeq.plain_text import plain
from edgeq.reporting.clock_model import clock_words
from edgeq.reporting.energy_words import ENERGY_KINDS, energy_words
from edgeq.reporting.fitted import Column, FittedTable, Paragraph, name_column, table
from edgeq.reporting.kernel_words import short_op
from edgeq.reporting.profile_text import joules, milliseconds, percent

Entry = dict[str, Any]


def estimate_text(result: Entry, verbose: bool = False) -> RenderableType:
    """The same object as `edgeq estimate --json`: boards, routes and layers side by side.

    `verbose`: with the timing rules, the sources of the energy and the proofs of constant time.
    """
    result = plain(result)
    fitting = [e for e in result["boards"] if e["fits"]]
    parts: list[RenderableType] = [Text(f"{result['model']}, before any flash", style="bold")]
    parts += [_boards(fitting), Text(), routes_table(fitting), Text(), _layers(fitting), Text()]
    for entry in fitting:
        parts += [
            Paragraph(line) for e in entry.get("explained", ()) for line in why_lines(entry, e)
        ]
    parts += [Paragraph(line) for line in rest_lines(fitting, verbose)]
    for entry in fitting:
        about = entry["board"]
        parts += [Paragraph(f"warning: {about}: {w}", style="yellow") for w in entry["warnings"]]
        parts += [Paragraph(f"note: {about}: {n}", style="yellow") for n in entry["notes"]]
    refused = (e for e in result["boards"] if not e["fits"])
    parts += [Paragraph(f"{e['board']}: {e['error']}", style="red") for e in refused]
    return Group(*parts)


def why_lines(entry: Entry, layer: Entry) -> list[str]:
    """The kernels of a layer in the order in which they are tried, and the loop of the chosen."""
    lines = [f"{entry['board']}: {layer['layer']} ({layer['op']}) runs on {layer['kernel']}"]
    for one in layer["kernels"]:
        said = one["why"]
        if one["cycles"] is not None:
            each = f", {one['cycles'] / layer['macs']:.2f} a multiply" if layer["macs"] else ""
            said = f"{one['cycles']:,} cycles{each}"
        lines.append(f"  {one['kernel']}: {said}")
    if layer["loop"]:
        lines.append(f"  {_loop_words(layer['loop'])}")
    return lines


def _loop_words(loop: Entry) -> str:
    """ "its loop, 18 x unrolled: 1,008 of 1,024 bytes of instruction cache"."""
    unrolled = f", {loop['repeats']} x unrolled" if loop["repeats"] > 1 else ""
    room = "bytes; no instruction cache is modelled"
    if loop["cache_bytes"]:
        room = f"of {loop['cache_bytes']:,} bytes of instruction cache"
    return f"its loop{unrolled}: {loop['bytes']:,} {room}"


def rest_lines(entries: Sequence[Entry], verbose: bool) -> list[str]:
    """What the figures of each board rest on: in full, or in a line that says how to see it."""
    if verbose:
        return [source_line(e) for e in entries] + [bound_line(e) for e in entries]
    return [short_line(e) for e in entries] + ["--verbose says on what these rest"]


def short_line(entry: Entry) -> str:
    """ "virtual_m4: modelled, cortex-m4/1, 100 MHz; energy: ...", and the bound's verdict."""
    kind = entry["energy_kind"]
    energy = "no figures" if kind is None else ENERGY_KINDS[kind]
    return (
        f"{entry['board']}: {entry['source']}, {entry['rules']}, {entry['clock_hz'] / 1e6:g} MHz; "
        f"energy: {energy}; constant time: {entry['constant_time']['core_cycles']}{_apart(entry)}"
    )


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
    return f"{entry['board']}: constant time {entry['constant_time']['said']}{_apart(entry)}"


def _apart(entry: Entry) -> str:
    stalls = [cycles for route in entry["routes"] for cycles in route["flash_stall_cycles"]]
    if not max(stalls):
        return ""
    return f"; misses of the flash's caches apart: {min(stalls):,} to {max(stalls):,} cycles"


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


def _boards(entries: Sequence[Entry]) -> FittedTable:
    cases = ("best", "expected", "worst")
    columns = (name_column("board"), Column("flash B"), Column("ram B"), *map(Column, cases))
    rows = [
        (e["board"], f"{e['flash_bytes']:,}", f"{e['ram_bytes']:,}", *(_case(e[c]) for c in cases))
        for e in entries
    ]
    return table("Boards (an inference: ms, energy)", columns, rows)


def _case(figures: Entry | None) -> str:
    return cost(figures).replace(" ms", "")


def routes_table(entries: Sequence[Entry]) -> FittedTable:
    """Each route on each board: a whole inference, shared layers and router included."""
    columns = (
        name_column("answered by"),
        name_column("board"),
        *map(Column, ("cycles", "ms", "energy")),
        Column("band", short=_short_band),
        Column("rests on", drop=0),  # a line a board says it too
        Column("share"),
    )
    rows = [
        _route(entry["routes"][i], entry)
        for i in range(len(entries[0]["routes"]))
        for entry in entries
    ]
    return table("Routes (a whole inference)", columns, rows)


def _route(route: Entry, entry: Entry) -> tuple[str, ...]:
    kind = entry["energy_kind"]
    return (
        route["name"],
        entry["board"],
        f"{route['cycles']:,}",
        milliseconds(1e3 * route["latency_s"]),
        joules(route["energy_j"]),
        band(route),
        "-" if kind is None else ENERGY_KINDS[kind],
        percent(route["share"]),
    )


def _short_band(words: str) -> str:
    """ "29 to 44.6 uJ" of "29 uJ to 44.6 uJ"; two units stay."""
    low, _, high = words.partition(" to ")
    unit = low.partition(" ")[2]
    return f"{low.partition(' ')[0]} to {high}" if high.endswith(f" {unit}") else words


def _layers(entries: Sequence[Entry]) -> FittedTable:
    columns = (name_column("name"), Column("op", right=False, short=short_op, drop=0))
    rows = [
        (layer["name"], layer["op"], *(f"{e['layers'][i]['cycles']:,}" for e in entries))
        for i, layer in enumerate(entries[0]["layers"])
    ]
    boards = (Column(e["board"]) for e in entries)
    return table("Layers (cycles)", (*columns, *boards), rows)
