"""examples/imports: the table of docs/import.md is its JSON's, and one network is run again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from edgeq.errors import Toolchain
from edgeq.toolchain.host import host_command
from tests.neighbours import script

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "imports"
LEAST_DB = 20


@pytest.fixture
def example() -> Iterator[ModuleType]:
    with script(FOLDER, "imports") as module:
        yield module


def test_the_page_holds_the_table_of_the_json(example: ModuleType) -> None:
    text = example.markdown(example.stored())
    assert text in (ROOT / "docs" / "import.md").read_text(encoding="utf-8")


def test_no_byte_differs_and_what_is_missing_is_told(example: ModuleType) -> None:
    runs = example.stored()
    assert {(r["network"], r["via"], r["weights"]) for r in runs} <= set(example.RUNS)
    missing = len(example.RUNS) - len(runs)
    assert example.markdown(runs).count("not measured |") == missing
    for run in runs:
        assert run["commit"]
        assert run["seed"] == example.SEED
        if "refused" not in run:
            assert run["rows"] >= 4
            assert run["mismatches"] == 0


@pytest.mark.parametrize(
    "key",
    [
        ("ds_cnn", "torch", "int8"),
        pytest.param(("two_inputs", "onnx", "int8"), marks=pytest.mark.full),
        pytest.param(("two_heads", "onnx dynamo", "int8"), marks=pytest.mark.full),
    ],
)
def test_one_network_of_each_importer_is_as_the_json_says(
    example: ModuleType, key: tuple[str, str, str]
) -> None:
    try:
        host_command()
    except Toolchain as error:
        pytest.skip(str(error))
    (held,) = (r for r in example.stored() if (r["network"], r["via"], r["weights"]) == key)
    found = example.one(key)
    assert found["mismatches"] == 0
    for what in ("parameters", "weight_bytes", "arena_bytes", "rows"):
        assert found[what] == held[what], what
    assert found["sqnr_db"] == pytest.approx(held["sqnr_db"], abs=0.5)  # sums of other orders
    assert found["sqnr_db"] > LEAST_DB


def test_what_is_refused_is_a_row_with_its_reason(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch import nn

    class Sorted(nn.Module):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return x.sort(-1)[0]

    net = example.NETS["mlp"]
    monkeypatch.setitem(example.NETS, "mlp", replace(net, build=Sorted))
    found = example.one(("mlp", "torch", "int8"))
    assert "UnsupportedOp" in found["refused"]
    assert "sort" in found["refused"]
    line = {"network": "mlp", "via": "torch", "weights": "int8"} | found
    assert found["refused"] in example.markdown([line])


def test_trained_networks_keep_their_answers() -> None:
    """The table of the page is its JSON's; at least 97 % of the answers stay at int8."""
    with script(FOLDER, "trained") as trained:
        runs = trained.stored()
        assert trained.markdown(runs) in (ROOT / "docs" / "import.md").read_text(encoding="utf-8")
        assert {run["network"] for run in runs} == set(trained.TRAINED)
        for run in runs:
            assert run["same"] >= 0.97 * run["rows"], run


def test_no_quantiser_is_far_above_edgeq_where_20_db_are_missed() -> None:
    """The page has the table; what it says of the seven networks is what was measured."""
    with script(FOLDER, "ranges") as ranges:
        runs = ranges.stored(ranges.RESULTS)
        page = (ROOT / "docs" / "import.md").read_text(encoding="utf-8")
        assert ranges.markdown(runs) in page
        assert {run["network"] for run in runs} == set(ranges.NETS)
        theirs = [f"onnxruntime_{m}_db" for m in ranges.THEIRS]
        below = set()
        for run in runs:
            assert run["commit"]
            assert run["seed"] == ranges.SEED
            assert run["mse_db"] > max(run[column] for column in theirs) - 1.5, run
            columns = [*theirs, *(f"{m}_db" for m in ranges.OURS)]
            below |= {run["network"]} if max(run[c] for c in columns) < LEAST_DB else set()
        assert below == set(ranges.MISSED)
