"""docs/measured/hostile.json: what the campaign found, and the table that docs/testing.md shows."""

import json
import platform
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.hang import HANG_S
from tests.hostile.oracle import Outcome

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "docs" / "measured" / "hostile.json"
PAGE = ROOT / "docs" / "testing.md"
START = "<!-- table hostile: start, written by a script -->"
END = "<!-- table hostile: end -->"
SAMPLES = 300  # cases a surface whose outcomes are kept, for CI to compute again
LETTERS = {
    "ok": ".",
    "BadInput": "B",
    "ModelFile": "M",
    "UnsupportedOp": "U",
    "MemoryBudget": "Y",
    "Link": "L",
    "NoAnswer": "N",
    "Meter": "T",
    "Mismatch": "X",
    "EdgeqError": "E",
}


def commit() -> str:
    """That of the working tree, with a + where files of it have changed."""
    words = ["git", "describe", "--always", "--dirty=+", "--abbrev=12"]
    said = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, timeout=HANG_S, check=True
    )
    return said.stdout.strip()


def read_record() -> dict[str, Any]:
    """The record; an empty one where there is none."""
    if not RECORD.is_file():
        return {"surfaces": {}, "parser": {}}
    return dict(json.loads(RECORD.read_text(encoding="utf-8")))


def write_record(record: Mapping[str, Any]) -> None:
    """The JSON, and the table in the page."""
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    partial = RECORD.with_suffix(".partial")
    partial.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    partial.rename(RECORD)
    text = PAGE.read_text(encoding="utf-8")
    start, end = text.index(START), text.index(END) + len(END)
    PAGE.write_text(text[:start] + table(record) + text[end:], encoding="utf-8")


def letter(result: str) -> str:
    """An outcome as one character; "?" is none that may be."""
    return LETTERS.get(result, "?")


def sampled(cases: int) -> list[int]:
    """The cases that CI computes again: evenly over all."""
    return list(range(0, cases, max(1, cases // SAMPLES)))[:SAMPLES]


def entry(seed: int, outcomes: Iterable[Outcome], commit_of: str) -> dict[str, Any]:
    """A surface's part of the record."""
    ran = list(outcomes)
    letters = "".join(letter(each.result) for each in ran)
    return {
        "commit": commit_of,
        "python": platform.python_version(),
        "seed": seed,
        "cases": len(ran),
        "outcomes": dict(sorted(Counter(each.result for each in ran).items())),
        "faults": [[each.index, each.fault] for each in ran if each.fault],
        "worst_cpu_s": round(max(each.cpu_s for each in ran), 3),
        "mean_cpu_ms": round(1e3 * sum(each.cpu_s for each in ran) / len(ran), 2),
        "worst_memory_mib": round(max(each.memory_bytes for each in ran) / 2**20, 1),
        "sample": "".join(letters[i] for i in sampled(len(ran))),
    }


def table(record: Mapping[str, Any]) -> str:
    """What stands between the markers of docs/testing.md."""
    lines = [
        START,
        "| surface | cases | read | refused, by error | faults | CPU a case, mean | worst | "
        "memory, worst |",
        "|---|---|---|---|---|---|---|---|",
        *(_line(name, each) for name, each in sorted(record["surfaces"].items())),
        "",
        "| parser | executions | seconds | seed | edges covered | crashes |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {each['executions']:,} | {each['seconds']} | {each['seed']} | "
            f"{each['edges']} | 0 |"
            for name, each in sorted(record["parser"].items())
        ),
        "",
        _measured(record),
        END,
    ]
    return "\n".join(lines)


def _measured(record: Mapping[str, Any]) -> str:
    parts = [*record["surfaces"].values(), *record["parser"].values()]
    commits = ", ".join(sorted({each["commit"] for each in parts}))
    seeds = ", ".join(sorted({str(each["seed"]) for each in record["surfaces"].values()}))
    return f"Measured at commit {commits}; seed {seeds} of the surfaces."


def _line(name: str, each: Mapping[str, Any]) -> str:
    outcomes = dict(each["outcomes"])
    read = outcomes.pop("ok", 0)
    refused = ", ".join(f"{kind} {count:,}" for kind, count in outcomes.items()) or "none"
    return (
        f"| {name} | {each['cases']:,} | {read:,} | {refused} | {len(each['faults'])} | "
        f"{each['mean_cpu_ms']} ms | {each['worst_cpu_s']} s | {each['worst_memory_mib']} MiB |"
    )
