"""Weights that the assembler takes from a file: the same image, in a fraction of the time."""

import os
from pathlib import Path

import numpy as np
import pytest

from edgeq.board import load_board
from edgeq.emit.firmware import firmware_project
from edgeq.emit.firmware_arrays import BINARY_FROM_BYTES
from edgeq.errors import BadInput, Toolchain
from edgeq.firmware_project import FirmwareProject
from edgeq.ir import Graph
from edgeq.memory import plan_memory
from edgeq.passes.select_kernels import select_kernels
from edgeq.reference import run
from edgeq.toolchain import build, find_compiler, with_board
from edgeq.toolchain.image import measure
from edgeq.weights import pack_weights
from tests.acceptance.boards import call_infer
from tests.compilers import COMPILERS
from tests.factory import fc_graph, input_rows

BOARD = load_board("virtual_m4")


def wide(features: int = 320) -> Graph:
    """Layers of three formats, some of whose arrays are large."""
    graph = fc_graph(np.random.default_rng(2), ("s8", "t2", "s4"), features=features, hidden=96)
    return select_kernels(graph, BOARD.features)


def project(graph: Graph, weights_as: str) -> FirmwareProject:
    plan, packed = plan_memory(graph), pack_weights(graph)
    return firmware_project(
        graph, plan, packed, model_name="m", digest="ab" * 32, weights_as=weights_as
    )


@pytest.mark.parametrize("kind", COMPILERS)
def test_a_firmware_with_binary_weights_answers_the_same(kind: str, tmp_path: Path) -> None:
    try:
        compiler = find_compiler(kind)
    except Toolchain as error:
        pytest.skip(str(error))
    graph = wide()
    rows = input_rows(np.random.default_rng(3), graph, 3)
    forms = {}
    for form in ("c", "binary"):
        files = project(graph, form)
        assert ("model/fc_chain_weights.bin" in files.files) == (form == "binary")
        built = build(with_board(files, BOARD), BOARD, compiler, tmp_path / form)
        forms[form] = measure(built.elf).sections[".edgeq_weights"]
        said = call_infer(built.elf, rows, graph.tensors[graph.outputs[0]].size)
        expected = run(graph, rows).output.reshape(len(rows), -1)
        np.testing.assert_array_equal(said.output, expected)
    assert abs(forms["binary"] - forms["c"]) < 64  # alignment


def test_auto_keeps_a_small_model_in_c_and_puts_a_large_one_in_a_file() -> None:
    small, large = wide(), fc_graph(np.random.default_rng(2), ("s8", "s8"), 600, 512)
    assert pack_weights(small).total_bytes < BINARY_FROM_BYTES < pack_weights(large).total_bytes
    assert not any(n.endswith(".bin") for n in project(small, "auto").files)
    assert any(n.endswith(".bin") for n in project(select_kernels(large, ()), "auto").files)
    with pytest.raises(BadInput, match="auto, c, binary"):
        project(small, "hex")


@pytest.mark.full
def test_sixteen_megabytes_build_within_ten_seconds_of_cpu(tmp_path: Path) -> None:
    """Emitting, compiling and linking: CPU seconds of this process and its children."""
    graph = fc_graph(np.random.default_rng(2), ("s8", "s8"), 4096, 4096)
    board = BOARD.model_copy(update={"flash": BOARD.flash.model_copy(update={"bytes": 64 * 2**20})})
    graph = select_kernels(graph, board.features)
    plan, packed = plan_memory(graph), pack_weights(graph)
    start = sum(time_spent())
    files = firmware_project(graph, plan, packed, model_name="m", digest="ab" * 32)
    built = build(with_board(files, board), board, find_compiler(), tmp_path)
    assert sum(time_spent()) - start < 10.0
    assert built.sections[".edgeq_weights"] > 16 * 2**20


def time_spent() -> tuple[float, ...]:
    used = os.times()
    return used.user, used.system, used.children_user, used.children_system
