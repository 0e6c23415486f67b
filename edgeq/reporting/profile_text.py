"""The summary of a profile for a terminal and for profile.txt."""

from collections.abc import Sequence
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from edgeq.plain_text import plain
from edgeq.reporting.energy_words import energy_words
from edgeq.reporting.statistics import LATENCY_KEYS

SMALLEST_MS = 1e-5
CONFUSION_CLASSES = 20  # more columns than this no terminal shows


def profile_text(summary: dict[str, Any]) -> RenderableType:
    """The same object as `--json`, for people."""
    summary = plain(summary)
    parts: list[RenderableType] = [_head(summary)]
    if summary["experts"]:
        parts += [Text(), _Experts(summary["experts"])]
        if summary["energy"].get("experts"):
            parts += [Text(), _measured_experts(summary["energy"])]
    parts += [Text(), _layers(summary["layers"])]
    if 0 < len(summary["confusion"]["classes"]) <= CONFUSION_CLASSES:
        parts += [Text(), _confusion(summary["confusion"])]
    parts += [Text(f"note: {note}", style="yellow") for note in summary["notes"]]
    return Group(*parts)


def milliseconds(value: float | None) -> str:
    """Four digits are all that a latency carries; a part of a cycle is none."""
    if value is None:
        return "-"
    return "0" if value < SMALLEST_MS else f"{value:#.4g}".removesuffix(".")


def percent(value: float | None) -> str:
    """A share, or a dash."""
    return "-" if value is None else f"{value:.1%}"


def joules(value: float | None) -> str:
    """Joules in the unit that leaves one to three digits before the point."""
    return _scaled(value, "J")


def coulombs(value: float | None) -> str:
    """Coulombs, likewise."""
    return _scaled(value, "C")


def _scaled(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    for prefix, scale in (("", 1.0), ("m", 1e-3), ("u", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {prefix}{unit}"
    return f"{value / 1e-9:.3g} n{unit}"


def latency_line(latency: dict[str, Any]) -> str:
    """Mean, spread and tail, with the source beside them."""
    if latency["mean"] is None:
        return "no latency: the board counts no cycles"
    mean, std, *tail = (milliseconds(latency[key]) for key in LATENCY_KEYS)
    quoted = ", ".join(f"{k} {v}" for k, v in zip(LATENCY_KEYS[2:], tail, strict=True))
    return f"{mean} ± {std} ms ({latency['source']}), {quoted}"


def energy_line(energy: dict[str, Any]) -> str:
    """Mean joules with their bounds, labelled."""
    if energy["joules_mean"] is None:
        return "no energy figures"
    low, high = energy["band"]
    if "windows" in energy:
        return measured_line(energy)
    words = energy_words(energy["source"], energy.get("kind"))
    return (
        f"{joules(energy['joules_mean'])} an inference ({words}; band "
        f"{joules(low)} to {joules(high)})"
    )


def measured_line(energy: dict[str, Any]) -> str:
    """The same of a meter: the median of its windows, net energy, charge, idle power, volts."""
    low, high = energy["band"]
    return (
        f"{joules(energy['joules_mean'])} an inference ({energy['source']}; median of "
        f"{len(energy['windows'])} windows, {joules(low)} to {joules(high)}), "
        f"{joules(energy['net_joules_mean'])} above idling, {coulombs(energy['coulombs_mean'])} at "
        f"{energy['volts']:.3f} V; idle {energy['idle_w'] * 1e3:#.3g} mW"
    )


def score_words(summary: dict[str, Any]) -> str:
    """Accuracy of a classifier, errors of an autoencoder, or that there is none."""
    if summary["accuracy"] is not None:
        return f"accuracy {percent(summary['accuracy'])}, macro F1 {summary['macro_f1']:.3f}"
    errors = summary.get("reconstruction")
    if not errors:
        return f"{summary['task']}, no accuracy"
    auc = "" if errors["auc"] is None else f", AUC {errors['auc']:.3f}"
    return f"mean squared error {errors['mse']:.4g}{auc}"


def _head(summary: dict[str, Any]) -> Text:
    bad = summary["mismatches"]
    evidence = "silicon" if summary["evidence"] == "silicon" else "no silicon"
    flags = [f for f in summary["flags"] or () if f.startswith(("-O", "-D"))]
    build = " ".join([summary["compiler"], *flags]) if summary["compiler"] else "unknown build"
    return Text.assemble(
        (f"{summary['model']} on {summary['board']} ({evidence})", "bold"),
        f": {summary['samples']} samples, {score_words(summary)}, ",
        (f"{bad} mismatches", "bold red" if bad else "green"),
        f"\nlatency  {latency_line(summary['latency'])}",
        f"\nenergy   {energy_line(summary['energy'])}",
        f"\nstack    {_bytes(summary['stack_bytes'])}",
        f"\nbuild    {build}, {summary['clock_hz'] / 1e6:g} MHz, "
        f"firmware {summary['firmware_digest'][:12]}",
    )


def _bytes(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,} B at most"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        justify: Literal["left", "right"] = "left" if i == 0 else "right"
        table.add_column(column, justify=justify, no_wrap=i > 0, overflow="fold")
    return table


class _Experts:
    """The experts' table; where the screen is too narrow for it, without some of its columns."""

    def __init__(self, experts: list[dict[str, Any]]) -> None:
        self._experts = experts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        kept = list(LATENCY_KEYS)
        for unneeded in ("std", "p95", "p50", "p99"):
            wide = _experts(self._experts, kept)
            if (
                console.measure(wide, options=options.update(width=1_000)).maximum
                <= options.max_width
            ):
                break
            if unneeded in kept:
                kept.remove(unneeded)
        yield _experts(self._experts, kept)


def _experts(experts: list[dict[str, Any]], kept: Sequence[str]) -> Table:
    source = experts[0]["latency"]["source"]
    columns = ("name", "samples", "share", "accuracy", *kept)
    table = _table(f"Experts (latency in ms, {source})", *columns, "energy")
    for e in experts:
        ms = [milliseconds(e["latency"][key]) for key in kept]
        figures = (str(e["count"]), percent(e["share"]), percent(e["accuracy"]), *ms)
        table.add_row(Text(e["name"]), *figures, joules(e["energy_joules_mean"]))
    return table


def _measured_experts(energy: dict[str, Any]) -> Table:
    title = f"Energy of an inference ({energy['source']}; median of the windows)"
    columns = ("name", "inferences", "total", "least", "most", "above idling", "charge")
    table = _table(title, *columns)
    for e in energy["experts"]:
        low, high = e["band"] or (None, None)
        values = (e["joules_mean"], low, high, e["net_joules_mean"])
        table.add_row(
            Text(e["name"]),
            str(e["inferences"]),
            *map(joules, values),
            coulombs(e["coulombs_mean"]),
        )
    return table


def _layers(layers: list[dict[str, Any]]) -> Table:
    table = _table("Layers (cycles: mean where it ran; share of the run)", "name", "op", "runs")
    for column in ("cycles", "share"):
        table.add_column(column, justify="right")
    for i in layers:
        cycles = "-" if i["cycles"] is None else f"{i['cycles']:,.0f}"
        table.add_row(Text(i["name"]), i["op"], str(i["count"]), cycles, percent(i["share"]))
    return table


def _confusion(confusion: dict[str, Any]) -> Table:
    names = [name[:8] for name in confusion["classes"]]
    table = _table("Confusion (rows: label, columns: answer)", "")
    for name in names:
        table.add_column(Text(name), justify="right")
    for name, row in zip(names, confusion["matrix"], strict=True):
        table.add_row(Text(name), *(str(n) if n else "." for n in row))
    return table
