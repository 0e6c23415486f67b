"""One planted fault: where it stands, what it changes, and an id that outlives small edits."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

KINDS = (
    "index",  # another element, column or register
    "constant",
    "shift",
    "operand",  # swapped, or with the other sign
    "row",  # a statement, an instruction or the last turn of a loop is dropped
    "edge",  # of a range or of the padding
    "zero point",
    "extreme",  # of an accumulator, a rounding or a clamp
)


@dataclass(frozen=True)
class Edit:
    """text[start:end] becomes `new`; `operator` names the rule that says so."""

    kind: str
    operator: str
    start: int
    end: int
    new: str


@dataclass(frozen=True)
class Fault:
    """An edit of one file. `id`: the file, a digest of its line, the rule, the how manieth."""

    id: str
    file: str
    line: int
    edit: Edit

    def apply(self, text: str) -> str:
        """The file's text with the fault in it."""
        return text[: self.edit.start] + self.edit.new + text[self.edit.end :]

    def shown(self, text: str) -> str:
        """The changed line, before and after."""
        first = text.rfind("\n", 0, self.edit.start) + 1
        last = (text + "\n").find("\n", self.edit.end)
        after = text[first : self.edit.start] + self.edit.new + text[self.edit.end : last]
        return f"{text[first:last].strip()} -> {after.strip()}"


def numbered(file: str, text: str, edits: Iterable[Edit]) -> list[Fault]:
    """The edits as faults with their ids, in the order of the text."""
    seen: Counter[str] = Counter()
    faults = []
    for edit in sorted(set(edits), key=lambda e: (e.start, e.end, e.operator, e.new)):
        first = text.rfind("\n", 0, edit.start) + 1
        line = text[first : (text + "\n").find("\n", edit.start)].strip()
        digest = hashlib.sha256(line.encode()).hexdigest()[:8]
        stem = f"{file}:{digest}:{edit.operator}"
        faults.append(
            Fault(f"{stem}:{seen[stem]}", file, text.count("\n", 0, edit.start) + 1, edit)
        )
        seen[stem] += 1
    return faults
