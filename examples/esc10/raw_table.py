"""The table of raw.py, from its JSON."""

import json
from pathlib import Path
from typing import Any

import ears

from edgeq.files import write_file
from edgeq.reporting.markdown import Row, build_line, commit_of, table

HERE = Path(__file__).parent
NAME, RUN = "raw", HERE / "raw_run.json"
SIZES = ("arena_bytes", "ram_bytes", "flash_bytes", "weight_bytes")
KEPT = ("training", "clips", "labels", "answers", "differ_from_the_reference", "clip_cycles")


def told(results: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a run, as plain data."""
    exports = results["exports"]
    clocks = {board: export["estimate"]["clock_hz"] for board, export in exports.items()}
    sizes = {board: {key: export[key] for key in SIZES} for board, export in exports.items()}
    own = {key: results[key] for key in (*KEPT, "cycles", "linked")}
    made = {**own, "clocks_hz": clocks, "sizes": sizes, "commit": commit_of(HERE)}
    streamed = stored().get("stream")  # of a run of its own
    return {**made, "stream": streamed} if streamed else made


def stored() -> dict[str, Any]:
    """The last run that was kept; {} before the first."""
    return dict(json.loads(RUN.read_text())) if RUN.is_file() else {}


def with_stream(made: dict[str, Any], export: dict[str, Any]) -> dict[str, Any]:
    """`made` and what the export of a step says."""
    sizes = {key: export[key] for key in (*SIZES, "state_bytes")}
    own = {key: export[key] for key in ("stream", "deadline")}
    own["clock_hz"], own["board"] = export["estimate"]["clock_hz"], export["target"]
    return {**made, "stream": {**own, "sizes": sizes, "commit": commit_of(HERE)}}


def right(made: dict[str, Any], which: str) -> int:
    """Clips that are answered well: "host_features", "reference" or "board"."""
    pairs = zip(made["answers"][which], made["labels"], strict=True)
    return sum(answer == label for answer, label in pairs)


def markdown(made: dict[str, Any]) -> str:
    """As it stands in the README."""
    rows = [*_of_answers(made)]
    for board, cycles in made["cycles"].items():
        rows += _of_cycles(board, cycles, made["clocks_hz"][board])
    board, sizes = list(made["sizes"].items())[-1]
    rows += [
        ("RAM, of it the samples", f"{sizes['ram_bytes']:,} bytes, {_sound():,}", board),
        ("arena", f"{sizes['arena_bytes']:,} bytes", board),
        ("flash, weights and code", f"{sizes['flash_bytes']:,} bytes", board),
        ("weights", f"{sizes['weight_bytes']:,} bytes", board),
        *(_of_stream(made["stream"]) if "stream" in made else ()),
        ("training", f"{made['training']['train_cpu_seconds']} s of one core", "host"),
    ]
    end = f"{build_line(made['linked'])} Seed {made['training']['seed']}, commit {made['commit']}."
    return f"{table(rows)}\n\n{end}"


def _of_answers(made: dict[str, Any]) -> list[Row]:
    count, linked = len(made["labels"]), made["linked"]
    where = f"{linked['board']} (no silicon)"

    def accuracy(which: str) -> str:
        return f"{right(made, which) / count:.2%} ({right(made, which)} of {count} clips)"

    pairs = zip(made["answers"]["board"], made["answers"]["host_features"], strict=True)
    others = sum(own != host for own, host in pairs)
    sent = f"{linked['mismatches']} of {linked['samples']}"
    return [
        (
            "accuracy from features that the host computes in floats",
            accuracy("host_features"),
            "integer reference",
        ),
        ("accuracy from sound alone, front end on the device", accuracy("board"), where),
        ("clips that are answered otherwise than from the host's features", str(others), where),
        (
            "clips that differ from the reference in a byte",
            f"{made['differ_from_the_reference']} of {count}",
            f"{where}, in memory",
        ),
        ("of those that `edgeq profile` sent", sent, f"{where}, over the link"),
    ]


def _of_cycles(board: str, cycles: dict[str, int], clock_hz: int) -> list[Row]:
    front, rest = cycles["front_end"], cycles["network"]
    seconds = ears.CLIP_SAMPLES / ears.SAMPLE_RATE_HZ
    where = f"{board} at {clock_hz / 1e6:g} MHz, modelled"
    shares = [f"{cycled / clock_hz / seconds:.2%}" for cycled in (front, rest)]
    return [
        (
            "front end, cycles a clip (a frame)",
            f"{front:,} ({front / ears.FRAMES:,.0f}), {shares[0]} of real time",
            where,
        ),
        ("network, cycles a clip", f"{rest:,}, {shares[1]} of real time", where),
    ]


def _of_stream(made: dict[str, Any]) -> list[Row]:
    deadline, sizes = made["deadline"], made["sizes"]
    front, frames = deadline["front_end_cycles"], made["stream"]["hop"] // ears.HOP
    whole, hop = deadline["worst_cycles"], f"{1e3 * deadline['hop_s']:g} ms"
    where = f"{made['board']} at {made['clock_hz'] / 1e6:g} MHz, modelled; commit {made['commit']}"
    return [
        (
            f"as a stream, cycles a hop of {hop}",
            f"{whole:,}, front end {front:,} ({front / frames:,.0f} a frame); "
            f"{deadline['share']:.2%} of real time",
            where,
        ),
        (
            "as a stream, RAM, of it state and arena",
            f"{sizes['ram_bytes']:,} bytes, {sizes['state_bytes']:,} and {sizes['arena_bytes']:,}",
            where,
        ),
    ]


def _sound() -> int:
    return 2 * ears.CLIP_SAMPLES


def keep(made: dict[str, Any]) -> None:
    """Writes it beside the README, so that a test can hold one to the other."""
    write_file(RUN, json.dumps(made, indent=1).encode() + b"\n")
