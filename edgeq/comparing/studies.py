"""Two studies of one kind side by side: rows by their keys, and what each number changed by."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgeq.errors import BadInput
from edgeq.reporting.study import Study

SHOWN = 200  # changes that are listed


def compare_studies(a: Study, b: Study, fail_if: Sequence[str]) -> dict[str, Any]:
    """The object of `edgeq compare --json` for studies. BadInput for two kinds, or a rule."""
    if fail_if:
        raise BadInput("--fail-if is for runs of `edgeq profile`; studies have no such metrics")
    if a.manifest.kind != b.manifest.kind:
        raise BadInput(
            f"{a.folder} is of `edgeq {a.manifest.kind}`, {b.folder} of `edgeq "
            f"{b.manifest.kind}`; give two of one command"
        )
    left, right = _by_key(a), _by_key(b)
    changes = [
        {"row": list(key), **change}
        for key in left
        if key in right
        for change in _changes(left[key], right[key])
    ]
    return {
        "study": a.manifest.kind,
        "a": _side(a),
        "b": _side(b),
        "keys": list(a.manifest.keys),
        "rows": len(left.keys() & right.keys()),
        "only_a": [list(key) for key in left if key not in right],
        "only_b": [list(key) for key in right if key not in left],
        "changes": changes,
        "fail_if": [],
        "notes": _notes(a, b),
    }


Key = tuple[str, ...]


def _by_key(study: Study) -> dict[Key, Mapping[str, Any]]:
    return {tuple(str(row[key]) for key in study.manifest.keys): row for row in study.table}


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Columns of both whose values differ; `change` is a share of a, where both are numbers."""
    found = []
    for name in a:
        if name not in b or a[name] == b[name]:
            continue
        numbers = all(type(side[name]) in (int, float) for side in (a, b))
        change = (b[name] - a[name]) / abs(a[name]) if numbers and a[name] else None
        found.append({"column": name, "a": a[name], "b": b[name], "change": change})
    return found


def _side(study: Study) -> dict[str, Any]:
    m = study.manifest
    return {"folder": str(study.folder), "model": m.model, "board": m.board, "data": m.data}


def _notes(a: Study, b: Study) -> list[str]:
    ours, theirs = a.manifest, b.manifest
    facts = ("model_digest", "board", "data")
    apart = [name for name in facts if getattr(ours, name) != getattr(theirs, name)]
    return [f"the studies differ in {', '.join(apart)}"] if apart else []
