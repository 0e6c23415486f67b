"""MLPerf Tiny's networks: shapes as published, answers of the reference, tables of the runs."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from edgeq.bench.networks import NETWORKS, bench_networks, compiled_network
from edgeq.errors import BadInput, Toolchain
from edgeq.toolchain import find_compiler

KEY = ("board", "kind", "network", "weights")
FOLDER = Path(__file__).parents[3] / "examples" / "networks"
# multiply-accumulates of the published networks, and of their layers with weights
MACS = {"kws": 2_656_768, "ic": 12_501_632, "vww": 7_489_664, "ad": 264_192, "sww": 432_832}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("networks_example", FOLDER / "networks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_costs_the_products_that_its_shapes_say(name: str) -> None:
    compiled, rows = compiled_network(name, "int8", frozenset({"dsp"}))
    products = sum(x.macs for x in compiled.layers if x.weight_format)
    assert products == MACS[name]
    assert rows.shape[1:] == compiled.graph.tensors[compiled.graph.inputs[0]].shape


def test_one_network_at_one_width_is_counted_and_held_to_the_reference() -> None:
    try:
        find_compiler()
    except Toolchain as error:
        pytest.skip(str(error))
    (row,) = bench_networks("virtual_m4", "ad", "ternary")["networks"]
    assert row["mismatches"] == 0
    assert sum(layer["cycles"] for layer in row["layers"]) == row["cycles"]
    assert 0 < row["cycles"] < 400_000
    assert row["arena_bytes"] < 1600


@pytest.mark.parametrize("asked", [{"network": "lstm"}, {"weights": "int5"}])
def test_what_does_not_exist_is_refused_with_what_does(asked: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="is none of"):
        bench_networks("virtual_m4", **asked)


def test_the_tables_say_what_the_results_say(script: ModuleType) -> None:
    runs = script.measured()["runs"]
    peers = json.loads(script.PEERS.read_text())
    for readme, (_, boards) in script.READMES.items():
        text = script.markdown(runs, peers, boards)
        assert text in readme.read_text(encoding="utf-8")
    assert all(row["mismatches"] == 0 for row in runs)


@pytest.mark.full
@pytest.mark.parametrize(("network", "weights"), [("ad", "int4"), ("kws", "int8")])
def test_a_sample_of_the_results_is_measured_again(
    network: str, weights: str, script: ModuleType
) -> None:
    """Cycles are exact: they only move when kernels do, and then the table is made anew."""
    runs = [
        r for r in script.measured()["runs"] if (r["network"], r["weights"]) == (network, weights)
    ]
    kept = next(r for r in runs if (r["board"], r["kind"]) == ("virtual_m4", "gcc"))
    compiler = find_compiler("gcc")
    if compiler.label != kept["compiler"]:
        pytest.skip(f"measured with {kept['compiler']}, here is {compiler.label}")
    (again,) = bench_networks("virtual_m4", network, weights, "gcc")["networks"]
    assert abs(again["cycles"] - kept["cycles"]) <= 0.01 * kept["cycles"]
