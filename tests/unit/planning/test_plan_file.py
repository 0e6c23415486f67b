"""The plan's file: round trip, what a person may do to it, and what is refused."""

from pathlib import Path

import pytest

from edgeq.errors import BadInput
from edgeq.plan_file import Plan, Predicted, difference, plan_text, read_plan, write_plan

LAYERS = ("stem", 'odd "name"\\ \x7f\u00e9', "body.0")


def plan(**changed: object) -> Plan:
    values = {
        "format": "edgeq plan",
        "version": 1,
        "model": "kws",
        "model_digest": "0" * 64,
        "board": "virtual_m4",
        "widths": dict(zip(LAYERS, ("int8", "ternary", "int4"), strict=True)),
        "budget": {"max_latency_s": 0.02, "max_flash_bytes": 131072.0},
        "predicted": Predicted(
            cycles=100.5, latency_s=1e-6, energy_j=1e-9, flash_bytes=9, ram_bytes=8, sensitivity=0.1
        ),
    }
    return Plan(**{**values, **changed})  # type: ignore[arg-type]


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "new" / "plan.toml"
    write_plan(file, plan())
    assert read_plan(file) == plan()
    assert read_plan(file).for_layers(LAYERS, file) == plan().widths
    assert plan_text(plan()) == plan_text(read_plan(file))


def test_an_edited_one_keeps_only_what_it_must(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text('format = "edgeq plan"\nversion = 1\nmodel = "m"\n[widths]\na = "int4"\n')
    assert read_plan(file).for_layers(["a"], file) == {"a": "int4"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lacks the line format"),
        ("format = 'edgeq run'", "lacks the line format"),
        ("format = 'edgeq plan'\nversion = 2", "version is 2"),
        ("format = 'edgeq plan'\nversion = 1\nmodel = 'm'", "widths: Field required"),
        ("format = 'edgeq plan'\nversion = 1\nmodel = 'm'\n[widths]\na = 4", "widths.a"),
        ("format = 'edgeq plan'\nversion = 1\nmodel = 'm'\n[widths]", "widths"),
        ("format = [", "cannot be read as TOML"),
        ("a = " + "[" * 3000 + "]" * 3000, "nested too deeply"),
        ("#" * (1 << 21), "too many"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "plan.toml"
    file.write_text(text)
    with pytest.raises(BadInput, match=says):
        read_plan(file)


def test_no_file_and_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        read_plan(tmp_path / "absent.toml")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="cannot be read as TOML"):
        read_plan(tmp_path / "bytes")


def test_a_missing_layer_is_named_with_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"names the layer 'stem'.*did you mean 'stam'\? Its layers"):
        plan().for_layers(["stam", *LAYERS[1:]], "plan.toml")
    with pytest.raises(BadInput, match=r"no width for head; add a line.*\"head\" = \"int8\""):
        plan().for_layers([*LAYERS, "head"], "plan.toml")


def test_the_difference_of_two_plans() -> None:
    widths = {**plan().widths, "stem": "int4", "more": "int8"}
    figures = plan().predicted
    assert figures is not None
    other = plan(
        widths=widths, board="rpi_pico", predicted=figures.model_copy(update={"cycles": 201.0})
    )
    found = difference(plan(), other)
    assert found["layers"] == [
        {"layer": "stem", "a": "int8", "b": "int4"},
        {"layer": "more", "a": None, "b": "int8"},
    ]
    assert found["same"] == 2
    (cycles,) = [f for f in found["figures"] if f["name"] == "cycles"]
    assert cycles == {"name": "cycles", "a": 100.5, "b": 201.0, "change": 1.0}
    assert found["notes"] == ["the plans are for different boards: virtual_m4 and rpi_pico"]
    assert difference(plan(), plan(predicted=None))["figures"] == []
