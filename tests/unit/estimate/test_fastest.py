"""`--optimize measured`: kernels by their cycles on the board's twin, not by the table's order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.board import Board, load_board
from edgeq.emit.firmware_layers import layers_of
from edgeq.errors import BadInput
from edgeq.estimating import fastest
from edgeq.estimating.candidates import candidates
from edgeq.estimating.count_cache import CountCache, default_path, key_of
from edgeq.estimating.fastest import Choice, choice_words, fastest_kernels
from edgeq.ir import Graph
from edgeq.kernels import kernel_named
from edgeq.passes.select_kernels import select_kernels
from edgeq.toolchain import find_compiler
from edgeq.weights import pack_weights
from tests.factory import mixture_graph

M0, M4 = load_board("virtual_m0plus"), load_board("virtual_m4")
ONE = "edgeq_fully_connected_s8_s8"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A layer with one output, for which two rows a multiply are one too many."""
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(60, 24)).astype(np.float32)
    body = nn.Sequential(nn.Linear(24, 300, "int8"), nn.ReLU(), nn.Linear(300, 1, "int8"))
    model = nn.Model(body, (24,), name="one")
    model.calibrate(x)
    edgeq.save(model, tmp_path / "m.pt")
    return tmp_path / "m.pt"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def exported(saved: Path, out: Path, objective: str, watch: Any = None) -> dict[str, Any]:
    return edgeq.export(saved, M0.name, out, objective=objective, watch=watch)


def worst(report: dict[str, Any]) -> float:
    return float(report["estimate"]["routes"][-1]["latency_s"])


def test_the_layer_of_one_output_is_faster_in_plain_c(
    saved: Path, tmp_path: Path, home: Path
) -> None:
    heard: list[tuple[int, int, str]] = []
    by_table = exported(saved, tmp_path / "a", "latency")
    report = exported(saved, tmp_path / "b", "measured", lambda *at: heard.append(at))
    assert by_table["layers"][-1]["kernel"] == ONE + "_v6m"
    assert report["layers"][-1]["kernel"] == ONE
    assert worst(report) < worst(by_table)
    assert [c["passed"] for c in report["checks"]] == [True] * len(report["checks"])
    assert heard[0][:2] == (0, 4)
    assert heard[-1] == (4, 4, "")
    assert any("1 on another kernel than the table's" in note for note in report["notes"])
    assert any(f"runs on {ONE}: " in note for note in report["notes"])
    assert (home / "edgeq" / "kernel_cycles.json").is_file()


@pytest.mark.full
def test_a_second_export_counts_nothing(
    saved: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = exported(saved, tmp_path / "a", "measured")

    def counted(*_: object) -> None:
        raise AssertionError("it was counted before")

    monkeypatch.setattr(fastest, "count_alone", counted)
    assert exported(saved, tmp_path / "b", "measured")["layers"] == first["layers"]
    (home / "edgeq" / "kernel_cycles.json").write_text("[1, 2")
    with pytest.raises(AssertionError, match="counted before"):
        exported(saved, tmp_path / "c", "measured")


def lowered(board: Any) -> Graph:
    return select_kernels(mixture_graph(np.random.default_rng(3), trunk="fc"), board.features)


def test_experts_get_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts by name: the plain kernels win everywhere."""
    monkeypatch.setattr(fastest, "count_alone", lambda _l, k, *_: (len(k.name), None))
    before = lowered(M4)
    kernels, choices = fastest_kernels(before, M4, find_compiler("auto"), CountCache(None))
    graph = before.with_kernels(kernels)
    layers = [x for x in layers_of(graph, pack_weights(graph)) if x.part == "node"]
    assert {x.info.expert for x in layers} > {None}
    for layer in layers:
        able = [k.name for k, why in candidates(layer, M4) if not why]
        assert len(layer.info.kernel) == min(map(len, able))
    assert {c.layer.count("/") for c in choices} == {0, 1}
    assert all(c.cycles <= c.by_table for c in choices)


def test_equal_counts_leave_the_tables_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastest, "count_alone", lambda *_: (7, None))
    before = lowered(M4)
    kernels, _ = fastest_kernels(before, M4, find_compiler("auto"), CountCache(None))
    assert kernels
    assert before.with_kernels(kernels).nodes == before.nodes


@pytest.mark.parametrize(
    ("board", "why"),
    [
        (M4.model_copy(update={"core": "cortex-a7"}), "no clock model of cortex-a7, only of .*"),
        (load_board("nucleo_h743zi"), "no virtual twin of nucleo_h743zi: .*"),
    ],
)
def test_a_board_that_nothing_can_be_counted_on_is_refused(board: Board, why: str) -> None:
    with pytest.raises(BadInput, match=f"measured .* twin; {why} latency"):
        fastest_kernels(lowered(M4), board, find_compiler("auto"), CountCache(None))


def test_what_a_count_hangs_on_is_in_its_key() -> None:
    compiler = find_compiler("auto")
    graph = lowered(M4)
    one, other = [x for x in layers_of(graph, pack_weights(graph)) if x.part == "node"][:2]
    kernel = kernel_named(one.info.kernel)
    keys = {
        key_of(one, kernel, M4, compiler),
        key_of(other, kernel, M4, compiler),
        key_of(one, kernel_named(ONE), M4, compiler),
        key_of(one, kernel, load_board("nucleo_l4r5zi"), compiler),
    }
    assert len(keys) == 4
    assert key_of(one, kernel, M4, compiler) in keys


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": "b"}', '{"a": -1}', '{"a": true}'])
def test_a_damaged_cache_is_begun_anew(text: str, tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    path.write_text(text)
    cache = CountCache.opened(path)
    assert cache.get("a") is None
    cache.put("a", 5)
    assert CountCache.opened(path).get("a") == 5


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = CountCache.opened(tmp_path / "file" / "counts.json")
    cache.put("a", 5)
    assert (cache.get("a"), cache.path) == (5, None)


def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    assert default_path() is None


def test_words() -> None:
    said = list(choice_words([Choice("a", "k", 5, 9), Choice("b", "k", 5, 5)]))
    assert said == [
        "kernels by count on the board's twin: 2 layers counted alone, 1 on another kernel than "
        "the table's",
        "a runs on k: 5 cycles alone, not 9",
    ]
