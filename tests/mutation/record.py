"""docs/measured/mutation.json: what became of every mutant, and what of it the docs show."""

import json
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.hang import HANG_S
from tests.mutation.fault import KINDS
from tests.mutation.outcome import Outcome

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "docs" / "measured" / "mutation.json"
PAGE = ROOT / "docs" / "testing.md"
EQUIVALENTS = Path(__file__).with_name("equivalents.toml")
START = "<!-- table mutation: start, written by a script -->"
END = "<!-- table mutation: end -->"
RAN = (Outcome.KILLED, Outcome.TIMEOUT, Outcome.SURVIVED)


def read_record() -> dict[str, Any]:
    """The record; an empty one where there is none."""
    if not RECORD.is_file():
        return {"units": {}}
    return dict(json.loads(RECORD.read_text(encoding="utf-8")))


def write_record(record: Mapping[str, Any]) -> None:
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    partial = RECORD.with_suffix(".partial")
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.rename(RECORD)


def commit() -> str:
    """That of the working tree, with a + where files of it have changed."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
        cwd=ROOT, capture_output=True, text=True, timeout=HANG_S, check=True,
    )  # fmt: skip
    return said.stdout.strip()


def equivalents() -> dict[str, str]:
    """Faults that change no answer, and why, by id."""
    table = tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8"))
    return {id_: group["reason"] for group in table["group"] for id_ in group["faults"]}


def mutants(record: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """(unit, fault, kind, outcome) of all that were planted."""
    for unit, entry in record["units"].items():
        for fault, said in entry["faults"].items():
            yield unit, fault, said["kind"], said["outcome"]


def totals(record: Mapping[str, Any]) -> Counter[str]:
    """Mutants by outcome; "equivalent" are survivors that are listed."""
    same = equivalents()
    return Counter(
        "equivalent" if outcome == Outcome.SURVIVED and fault in same else outcome
        for _, fault, _, outcome in mutants(record)
    )


def table(record: Mapping[str, Any]) -> str:
    """What stands between the markers of docs/testing.md."""
    same, rows = equivalents(), []
    for group in ("kernels", "emitters"):
        for kind in KINDS:
            said = Counter(
                "equivalent" if outcome == Outcome.SURVIVED and fault in same else outcome
                for unit, fault, k, outcome in mutants(record)
                if k == kind and (unit.endswith(".py") == (group == "emitters"))
            )
            rows.append((group, kind, said))
    lines = [
        START,
        "| planted into | kind of fault | ran | caught | of them hung | equivalent | survived | "
        "refused by the compiler |",
        "|---|---|---|---|---|---|---|---|",
        *(_line(group, kind, said) for group, kind, said in rows if said),
        _line("all", "", sum((said for *_, said in rows), Counter())),
        "",
        f"Measured at commit {record['commit']}, seed {record['seed']}, {record['per_unit']} a "
        f"unit (an equivalent in a shared header is kept once); {record['compilers']}. Units: "
        f"{sum(not unit.endswith('.py') for unit in record['units'])} kernels, "
        + (
            ", ".join(f"`{u}`" for u in sorted(record["units"]) if u.endswith(".py"))
            or "no modules"
        )
        + ".",
        END,
    ]
    return "\n".join(lines)


def _line(group: str, kind: str, said: Counter[str]) -> str:
    caught = said[Outcome.KILLED] + said[Outcome.TIMEOUT]
    ran = caught + said["equivalent"] + said[Outcome.SURVIVED]
    numbers = (
        ran, f"{caught} ({100 * caught / max(1, ran):.1f} %)", said[Outcome.TIMEOUT],
        said["equivalent"], said[Outcome.SURVIVED], said[Outcome.REFUSED],
    )  # fmt: skip
    return f"| {group} | {kind} | {' | '.join(map(str, numbers))} |"


def write_page(record: Mapping[str, Any]) -> None:
    """The table into docs/testing.md."""
    text = PAGE.read_text(encoding="utf-8")
    start, end = text.index(START), text.index(END) + len(END)
    PAGE.write_text(text[:start] + table(record) + text[end:], encoding="utf-8")
