"""A precision plan: the width of each layer, as a TOML file that a person can read and edit."""

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from edgeq.errors import BadInput
from edgeq.files import write_file
from edgeq.strict import Digest, Finite, Strict, Whole, first_problem
from edgeq.toml_file import read_toml

FORMAT: Literal["edgeq plan"] = "edgeq plan"
VERSION = 1
HEAD = """\
# Widths of a model's layers: `edgeq quantize --plan` and `edgeq export --plan` take this file.
# Edit them freely: int1 to int16, ternary. What stands below [predicted] is of the plan as it was
# made; `edgeq plan --diff A B` compares two.
"""


class Predicted(Strict):
    """What the plan was predicted to cost on its board, modelled, and to lose."""

    cycles: Finite
    latency_s: Finite
    energy_j: Finite | None = None
    flash_bytes: Whole
    ram_bytes: Whole
    sensitivity: float


class Plan(Strict):
    """The whole file. `model_digest` is of the float model's file, and told, not enforced: a model
    that was trained on has the same layers.
    """

    format: Literal["edgeq plan"]
    version: Literal[1]
    model: str
    model_digest: Digest | None = None
    board: str | None = None
    widths: dict[str, str] = Field(min_length=1)
    budget: dict[str, float] = Field(default_factory=dict)
    predicted: Predicted | None = None

    def for_layers(self, layers: Sequence[str], where: str | Path) -> dict[str, str]:
        """The width of each of a model's layers, in their order.

        BadInput for a layer that the model has not, and for one that the plan lacks.
        """
        strange = [name for name in self.widths if name not in layers]
        if strange:
            close = difflib.get_close_matches(strange[0], layers, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise BadInput(
                f"{where} names the layer {strange[0]!r}, which the model has not{hint} Its layers "
                f"with weights are {_listed(layers)}"
            )
        absent = [name for name in layers if name not in self.widths]
        if absent:
            raise BadInput(
                f"{where} has no width for {_listed(absent)}; add a line for each below [widths], "
                f'as {_text(absent[0])} = "int8"'
            )
        return {name: self.widths[name] for name in layers}


def _listed(names: Sequence[str], most: int = 40) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def read_plan(path: str | Path) -> Plan:
    """Raises BadInput for what is no plan of this edgeq, with the first thing that is wrong."""
    value = read_toml(path, "plan")
    if value.get("format") != FORMAT:
        raise BadInput(f'{path} is no plan: it lacks the line format = "{FORMAT}"')
    if value.get("version") != VERSION:
        raise BadInput(f"{path}: its version is {str(value.get('version'))[:20]}, this reads 1")
    try:
        return Plan.model_validate(value)
    except ValidationError as error:
        raise BadInput(f"{path} is no plan: {first_problem(error)}") from None


def write_plan(path: Path, plan: Plan) -> None:
    """Whole or not at all, folders made."""
    write_file(path, plan_text(plan).encode(), parents=True)


def plan_text(plan: Plan) -> str:
    """The file's text: the same for the same plan."""
    lines = [HEAD, f"format = {_text(plan.format)}", f"version = {plan.version}"]
    lines.append(f"model = {_text(plan.model)}")
    for key in ("model_digest", "board"):
        if getattr(plan, key) is not None:
            lines.append(f"{key} = {_text(getattr(plan, key))}")
    lines += ["", "[widths]"]
    lines += [f"{_text(name)} = {_text(kind)}" for name, kind in plan.widths.items()]
    if plan.budget:
        lines += ["", "[budget]", *(f"{key} = {v!r}" for key, v in plan.budget.items())]
    if plan.predicted is not None:
        known = plan.predicted.model_dump(exclude_none=True)
        lines += ["", "[predicted]", *(f"{key} = {value!r}" for key, value in known.items())]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A basic string of TOML: JSON's, but for the one character that JSON leaves as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def difference(a: Plan, b: Plan) -> dict[str, Any]:
    """The object of `edgeq plan --diff --json`: layers with other widths, and each figure's change.

    `change` is b - a over a; None where a side has no prediction, or a is 0.
    """
    names = [*a.widths, *(name for name in b.widths if name not in a.widths)]
    layers = [
        {"layer": name, "a": a.widths.get(name), "b": b.widths.get(name)}
        for name in names
        if a.widths.get(name) != b.widths.get(name)
    ]
    ours, theirs = _figures(a), _figures(b)
    figures = [
        {"name": key, "a": ours[key], "b": theirs[key], "change": _change(ours[key], theirs[key])}
        for key in ours
        if key in theirs
    ]
    notes = []
    if a.board != b.board:
        notes.append(f"the plans are for different boards: {a.board} and {b.board}")
    if a.model_digest != b.model_digest:
        notes.append("the plans were made of different model files")
    return {"layers": layers, "same": len(names) - len(layers), "figures": figures, "notes": notes}


def _figures(plan: Plan) -> Mapping[str, float]:
    return {} if plan.predicted is None else plan.predicted.model_dump(exclude_none=True)


def _change(a: float, b: float) -> float | None:
    return (b - a) / a if a else None
