"""The report as one HTML page: it fetches nothing, works offline, and is the same every time.

Names of models and classes are untrusted: the template escapes them, `figures.style` those that
plotly draws, and no JSON in the page can close its element.
"""

import base64
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from edgeq.errors import Toolchain
from edgeq.extras import install
from edgeq.harness.profile_summary import ExportFacts
from edgeq.plain_text import command, one_line
from edgeq.reporting import port_words, profile_text, sources
from edgeq.reporting.figures import Figure, ReportedRun, figures_of, pareto, style
from edgeq.reporting.stream import stream_words
from edgeq.templates import environment

HERE = Path(__file__).parent
TEMPLATE = "page.html.j2"
EXTRA = install("report")


def page(subjects: Sequence[ReportedRun]) -> str:
    """One page of one run or several. Raises Toolchain without the plotting library."""
    library = library_text()
    names = run_names(subjects)
    across = pareto(subjects, names) if len(subjects) > 1 else []
    each = [figures_of(subject) for subject in subjects]
    plots = {f"{f.key}-plot": f.plot for f in across}
    for at, figures in enumerate(each):
        plots |= {f"{_id(at, f)}-plot": f.plot for f in figures}
    return (
        page_environment()
        .get_template(TEMPLATE)
        .render(
            title=names[0] if len(names) == 1 else f"{len(names)} runs of edgeq",
            style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
            script=Markup((HERE / "page.js").read_text(encoding="utf-8")),
            runs=[_run(at, s, names[at], each[at]) for at, s in enumerate(subjects)],
            pareto=[_figure(f.key, f) for f in across],
            plots=Markup(in_script(plots)),
            library=Markup(library),
        )
    )


def run_names(subjects: Sequence[ReportedRun]) -> list[str]:
    """A name for each run; the folder's where two would be the same."""
    plain = [f"{s.summary.model} on {s.summary.board}" for s in subjects]
    return [
        name if plain.count(name) == 1 else f"{name}, {subject.run.folder}"
        for name, subject in zip(plain, subjects, strict=True)
    ]


def library_text() -> str:
    try:
        from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]
    except ImportError:
        raise Toolchain(
            f"the page is drawn by plotly, which is not installed: {EXTRA}; --text and --json "
            "need it not"
        ) from None
    return base64.b64encode(zlib.compress(get_plotlyjs().encode(), 9)).decode()


def page_environment() -> jinja2.Environment:
    made = environment(HERE, html=True, finalize=_harmless)
    made.filters["ms"] = profile_text.milliseconds
    made.filters["percent"] = profile_text.percent
    made.filters["joules"] = profile_text.joules
    made.filters["colour"] = style.colour
    return made


def _harmless(value: object) -> object:
    """Texts are printable: no character of a name turns the line around or hides it."""
    return one_line(value) if type(value) is str else value


def in_script(value: object) -> str:
    """JSON in which no text can end the <script> around it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _id(at: int, figure: Figure) -> str:
    return f"run{at + 1}-{figure.key}"


def _figure(name: str, figure: Figure) -> dict[str, Any]:
    return {
        "id": name,
        "title": figure.title,
        "caption": figure.caption,
        "source": figure.source,
        "wide": figure.wide,
        "height": figure.plot["layout"]["height"],
    }


def _run(at: int, subject: ReportedRun, name: str, figures: Sequence[Figure]) -> dict[str, Any]:
    summary, manifest = subject.summary, subject.run.manifest
    alone = summary.alone
    export = summary.export or ExportFacts(target="", checks=[], notes=[])
    return {
        "id": f"run{at + 1}",
        "name": name,
        "folder": str(subject.run.folder),
        "started": manifest.sessions[0].started,
        "summary": summary,
        "flash": _bytes(manifest.firmware.flash_bytes),
        "ram": _bytes(manifest.firmware.ram_bytes),
        "notes": [*summary.notes, *export.notes],
        "checks": export.checks,
        "latency": profile_text.latency_line(summary.latency),
        "energy": profile_text.energy_line(summary.energy),
        "latency_source": sources.latency_source(subject.run, summary),
        "energy_source": sources.energy_source(summary),
        "alone": profile_text.alone_rows(alone.model_dump()) if alone else [],
        "gain": alone.gain if alone else None,
        "signals": profile_text.signal_rows([signal.model_dump() for signal in summary.signals]),
        "stream": stream_words(summary.stream) if summary.stream else [],
        "ports": port_words.port_rows(summary.export),
        "port_columns": port_words.COLUMNS,
        "answer": export.answer,
        "figures": [_figure(_id(at, f), f) for f in figures],
        "facts": _facts(subject),
    }


def _bytes(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,} B"


def _facts(subject: ReportedRun) -> list[tuple[str, str]]:
    summary, manifest = subject.summary, subject.run.manifest
    session = manifest.sessions[-1]
    return [
        ("model", f"{summary.model}, digest {summary.model_digest}"),
        ("board", f"{summary.board} at {summary.clock_hz / 1e6:g} MHz"),
        ("compiler", summary.compiler or "unknown"),
        ("flags", " ".join(summary.flags or ["unknown"])),
        ("firmware", f"digest {summary.firmware_digest}"),
        ("stack", _stack(summary.stack_bytes)),
        ("data", f"{manifest.data.source}, digest {manifest.data.digest}"),
        ("recorded by", f"edgeq {session.edgeq} on {session.host.get('system', 'unknown')}"),
        ("command", command(*session.command)),
    ]


def _stack(most: int | None) -> str:
    return "unknown" if most is None else f"{most:,} B at most, as the board measured"
