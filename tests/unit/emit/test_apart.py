"""A child process runs the emitted files: what ends it is told, and the next file gets another."""

import contextlib
import os
import signal
import sys

import numpy as np
import pytest

from edgeq.emit import apart, apart_child
from edgeq.emit.apart import Apart, RunFailed
from edgeq.emit.onnx_check import run_onnx
from edgeq.emit.onnx_model import onnx_model
from edgeq.emit.tflite_check import run_tflite
from edgeq.emit.tflite_model import tflite_model
from tests.factory import fc_graph, input_rows, mixture_graph


def test_one_child_gives_what_the_interpreters_give() -> None:
    graph = mixture_graph(np.random.default_rng(0))
    rows = input_rows(np.random.default_rng(1), graph, 5)
    lite, onnx = tflite_model(graph, "t"), onnx_model(graph, "t", "").SerializeToString()
    x = rows.astype(np.float32) * 0.02
    with Apart() as child:
        got, also = child.tflite(lite, rows), child.onnx(onnx, x)
        pid = _pid(child)
        child.tflite(lite, rows)
        assert _pid(child) == pid
    for one, other in ((got, run_tflite(lite, rows)), (also, run_onnx(onnx, x))):
        assert vars(one).keys() == vars(other).keys()
        for key, value in vars(other).items():
            assert np.array_equal(getattr(one, key), value), key


def test_the_child_stays_for_the_next_export() -> None:
    graph = fc_graph(np.random.default_rng(0))
    rows = input_rows(np.random.default_rng(1), graph, 2)
    lite = tflite_model(graph, "t")
    with Apart() as child, Apart() as other:
        child.tflite(lite, rows)
        other.tflite(lite, rows)
        pids = {_pid(child), _pid(other)}
        assert len(pids) == 2
    assert [_gone(pid) for pid in sorted(pids)].count(True) == 1, "one stays"
    with Apart() as child:
        child.tflite(lite, rows)
        assert _pid(child) in pids


def test_a_child_that_ran_a_strangers_file_or_was_cut_off_ends() -> None:
    graph = fc_graph(np.random.default_rng(0))
    rows = input_rows(np.random.default_rng(1), graph, 2)
    lite = tflite_model(graph, "t")
    with Apart() as child:
        child.plain_tflite(lite, rows, rows.astype(np.float32))
        strangers = _pid(child)
    assert _gone(strangers)
    with contextlib.suppress(KeyboardInterrupt), Apart() as child:
        child.tflite(lite, rows)
        cut = _pid(child)
        raise KeyboardInterrupt
    assert _gone(cut)


def test_a_child_that_died_in_between_is_not_asked() -> None:
    graph = fc_graph(np.random.default_rng(0))
    rows = input_rows(np.random.default_rng(1), graph, 2)
    with Apart() as child:
        child.tflite(tflite_model(graph, "t"), rows)
        kept = child._child
    assert kept is not None
    kept.process.kill()
    kept.process.wait()
    with Apart() as child:
        assert len(child.tflite(tflite_model(graph, "t"), rows).logits) == 2


def _pid(child: Apart) -> int:
    assert child._child is not None
    return child._child.process.pid


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_what_an_interpreter_refuses_is_told_and_the_child_goes_on() -> None:
    graph = fc_graph(np.random.default_rng(0))
    rows = input_rows(np.random.default_rng(1), graph, 2)
    with Apart() as child:
        with pytest.raises(RunFailed, match="LiteRT refused the file: ValueError: "):
            child.tflite(b"no flatbuffer at all", rows)
        with pytest.raises(RunFailed, match="ONNX Runtime refused the file: "):
            child.onnx(b"no protobuf", rows.astype(np.float32))
        assert len(child.tflite(tflite_model(graph, "t"), rows).logits) == 2


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("import os; os.abort()", r"LiteRT ended its process with signal SIGABRT \(no message\)"),
        ("import sys; print('bad op', file=sys.stderr); sys.exit(3)", r"exit code 3 \(bad op\)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "signal SIGSEGV"),
        ("import time; time.sleep(600)", "took longer than 1 s and was stopped"),
    ],
)
def test_a_child_that_dies_or_hangs_is_told(
    body: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = fc_graph(np.random.default_rng(0))
    rows = input_rows(np.random.default_rng(1), graph, 2)
    with Apart(deadline_s=1.0 if "sleep" in body else 60.0) as child:
        with monkeypatch.context() as planted:
            planted.setattr(apart, "command", lambda: [sys.executable, "-c", body])
            with pytest.raises(RunFailed, match=told):
                child.tflite(tflite_model(graph, "t"), rows)
        child._deadline_s = 60.0
        assert len(child.tflite(tflite_model(graph, "t"), rows).logits) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no address space limit there")
def test_memory_without_bound_ends_the_child_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's own limit, not the machine's."""
    body = f"""
import numpy as np
from edgeq.emit import apart_child as c
c.answer = lambda request: {{"x": np.ones({2 * apart_child.MEMORY_BYTES}, np.uint8)}}
c.main()
"""
    monkeypatch.setattr(apart, "command", lambda: [sys.executable, "-c", body])
    with Apart() as child, pytest.raises(RunFailed, match=r"exit code 1 \(.*MemoryError"):
        child.tflite(b"", np.zeros((1, 1), np.int8))


def test_ctrl_c_is_the_parents(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal sends it to both: the child finishes and the parent decides."""
    graph = fc_graph(np.random.default_rng(0))
    rows = input_rows(np.random.default_rng(1), graph, 2)
    with Apart() as child:
        child.tflite(tflite_model(graph, "t"), rows)
        os.kill(_pid(child), signal.SIGINT)
        assert len(child.tflite(tflite_model(graph, "t"), rows).logits) == 2
