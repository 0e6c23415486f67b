"""`edgeq bench kernels`: what it measures, what it prints, what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from edgeq.bench import bench_kernels
from edgeq.bench.cases import cases_named, runs
from edgeq.bench.text import bench_text, markdown, read_results, refuse_differences
from edgeq.errors import BadInput, Mismatch

FIELDS = (
    "op", "kernel", "weight", "isa", "shape", "cycles", "cycles_per_mac", "code_bytes",
    "weight_bytes", "scratch_bytes", "mismatches",
)  # fmt: skip


def row(kernel: str, shape: str, cycles: int, **more: Any) -> dict[str, Any]:
    numbers = dict.fromkeys(("code_bytes", "weight_bytes", "scratch_bytes", "mismatches"), 0)
    about = {"op": "fully_connected", "kernel": kernel, "weight": "t2", "isa": "c", "shape": shape}
    counted = {"cycles": cycles, "cycles_spread": 0, "cycles_per_mac": cycles / 1000}
    return {**about, **counted, **numbers, **more}


def result(board: str, compiler: str, *kernels: dict[str, Any]) -> dict[str, Any]:
    about = {"board": board, "source": "modelled", "compiler": compiler, "flags": ["-O2"]}
    return {**about, "kernels": list(kernels)}


def test_a_run_of_one_kernel() -> None:
    seen = []
    found = bench_kernels(
        kernel="edgeq_fully_connected_s8_t2_dsp",
        shape="64x12",
        watch=lambda *step: seen.append(step),
    )
    (entry,) = found["kernels"]
    assert found["board"] == "virtual_m4"
    assert set(FIELDS) <= set(entry)
    assert (entry["op"], entry["weight"], entry["isa"]) == ("fully_connected", "t2", "dsp")
    assert entry["cycles_per_mac"] == round(entry["cycles"] / (64 * 12), 4)
    assert entry["weight_bytes"] == 64 * 12 // 4
    assert entry["mismatches"] == 0
    assert entry["cycles_spread"] <= 1
    assert seen


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"kernel": "gemm"}, "no kernel gemm.*there are .*edgeq_conv_2d_s8_t2_dsp"),
        ({"kernel": "edgeq_fully_connected_s8_t2_v6m", "shape": "64x12"}, "on virtual_m4"),
        ({"shape": "1x1"}, "no shape '1x1'; there are 1536x640"),
        ({"board_name": "nucleo_f446re"}, "nucleo_f446re is none"),
        ({"compiler": "icc"}, "icc"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(arguments: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        bench_kernels(**arguments)


def test_a_difference_and_uneven_cycles_are_refused() -> None:
    fine = row("edgeq_a", "64x12", 1000)
    refuse_differences(result("b", "gcc", fine, {**fine, "cycles_spread": 1}))
    with pytest.raises(Mismatch, match="edgeq_a on 64x12"):
        refuse_differences(result("b", "gcc", {**fine, "mismatches": 1}))
    with pytest.raises(Mismatch, match="depend on the data: edgeq_a"):
        refuse_differences(result("b", "gcc", {**fine, "cycles_spread": 2}))


def test_the_terminal_table_fits_80_columns() -> None:
    long = row("edgeq_fully_connected_s8_s16_dsp", "1536x640", 12_345_678, weight_bytes=1_966_080)
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(bench_text(result("virtual_m4", "gcc", long)))
    text = console.export_text()
    assert "s8_s16_dsp" in text
    assert "12,345,678" in text
    assert "…" not in text


def test_a_table_for_each_board_with_each_compiler_in_its_column() -> None:
    both = row("edgeq_a", "64x12", 1500)
    first = result("m4", "gcc", both)
    second = result("m4", "zig", row("edgeq_b", "64x12", 2500), {**both, "cycles_per_mac": 1.25})
    text = markdown([first, second, result("m0", "gcc", both)])
    assert text.count("| shape |") == 2
    assert "| 64x12 | edgeq_a | 1.500 | 1.250 | 0 | 0 | 0 |" in text
    assert "| 64x12 | edgeq_b |  | 2.500 | 0 | 0 | 0 |" in text
    assert "- m0, modelled cycles, gcc: `-O2`" in text


def test_results_are_read_back_and_others_refused(tmp_path: Path) -> None:
    path = tmp_path / "gcc.json"
    path.write_text(json.dumps(result("m4", "gcc")))
    assert read_results(path)["compiler"] == "gcc"
    for text in ("no json", "[]", '{"board": "m4"}'):
        path.write_text(text)
        with pytest.raises(BadInput, match=r"gcc\.json"):
            read_results(path)
    with pytest.raises(BadInput, match="absent"):
        read_results(tmp_path / "absent.json")


def test_the_kernel_of_one_window_is_tried_on_nothing_else() -> None:
    tried = {one.kernel for one in runs({"dsp"}, None, cases_named("dw3x3"))}
    assert "edgeq_depthwise_conv_2d_s8_s8_dsp" in tried
    assert "edgeq_depthwise_frame_s8_s8_dsp" not in tried
