"""Emitted files run in a child process: LiteRT and ONNX Runtime can abort, and then end only it.

One child serves both; it is started when first needed and again after it died. It takes a second to
import them: one that ran files of our own alone stays for the next export of this process.
"""

import atexit
import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import IO

import numpy as np

from edgeq.emit import apart_child
from edgeq.emit.runs import FormEnds, OnnxRun, TfliteRun
from edgeq.errors import EdgeqError
from edgeq.ops.op import Array

DEADLINE_S = 600.0  # a hundred rows of the largest models take a minute
ENDING_S = 60.0


def command() -> list[str]:
    """What starts the child."""
    return [sys.executable, "-m", apart_child.__name__]


def _sent(ends: FormEnds | None) -> dict[str, Array]:
    return {} if ends is None else {"ends": np.array(ends.text())}


class RunFailed(EdgeqError):
    """An interpreter could not run a file: it refused it, died, or took too long. Says which."""


@dataclass
class _Child:
    process: subprocess.Popen[bytes]
    words: IO[bytes]  # what it says on stderr
    command: list[str]
    parent: int
    trusted: bool = True  # no file of somebody else's has run in it

    def ready(self) -> bool:
        """Whether this process may ask it, as a new one."""
        ours = self.parent == os.getpid() and self.command == command()
        return ours and self.trusted and self.process.poll() is None

    def end(self) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        self.process.wait()
        self.words.close()


_spare: list[_Child] = []
_spares = threading.Lock()


def _new_child() -> _Child:
    words = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the child
    process = subprocess.Popen(
        command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words
    )
    return _Child(process, words, command(), os.getpid())


def _take() -> _Child:
    with _spares:
        child = _spare.pop() if _spare else None
    if child is None:
        return _new_child()
    if child.ready():
        return child
    if child.parent == os.getpid():  # else a fork's: it is its parent's to end
        child.end()
    return _new_child()


def _keep(child: _Child) -> None:
    with _spares:
        kept = child.ready() and not _spare
        if kept:
            child.words.seek(0)
            child.words.truncate()
            _spare.append(child)
    if not kept:
        child.end()


@atexit.register
def _end_spare() -> None:
    with _spares:
        while _spare:
            child = _spare.pop()
            if child.parent == os.getpid():
                child.end()


class Apart:
    """The child, as a context. `onnx` and `tflite` are run_onnx and run_tflite there."""

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._child: _Child | None = None

    def __enter__(self) -> "Apart":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        child, self._child = self._child, None
        if child is not None and kind is None:
            _keep(child)
        elif child is not None:  # in the middle of a frame, perhaps
            child.end()

    def onnx(self, model: bytes, x: Array, ends: FormEnds | None = None) -> OnnxRun:
        """run_onnx on float rows x. Raises RunFailed."""
        return OnnxRun(**self._ask("onnx", "ONNX Runtime", model, x, **_sent(ends)))

    def tflite(self, model: bytes, x: Array, ends: FormEnds | None = None) -> TfliteRun:
        """run_tflite on rows of codes x. Raises RunFailed."""
        answer = self._ask("tflite", "LiteRT", model, x, **_sent(ends))
        scale = float(answer.pop("uncertainty_scale"))
        return TfliteRun(**answer, uncertainty_scale=scale)

    def plain_tflite(self, model: bytes, rows: Array, real: Array) -> tuple[Array, Array]:
        """run_plain_tflite on rows of codes and the same as real numbers. Raises RunFailed."""
        answer = self._ask("plain_tflite", "LiteRT", model, rows, real=real)
        return answer["output"], answer["real"]

    def _ask(self, form: str, name: str, model: bytes, x: Array, **more: Array) -> dict[str, Array]:
        """The child's answer by field."""
        request = {"form": np.array(form), "model": np.frombuffer(model, np.uint8), "x": x, **more}
        self._child = self._child or _take()
        self._child.trusted &= form != "plain_tflite"
        answer, late = self._exchange(self._child.process, request)
        if answer is None:
            raise RunFailed(f"{name} {self._how_it_died(late)}")
        if "error" in answer:
            raise RunFailed(f"{name} refused the file: {answer['error']}")
        return answer

    def _exchange(
        self, process: "subprocess.Popen[bytes]", request: Mapping[str, Array]
    ) -> tuple[dict[str, Array] | None, bool]:
        """(answer, None from a child that died; whether the deadline killed it)."""
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        guard = threading.Timer(self._deadline_s, stop)
        guard.daemon = True
        guard.start()
        try:
            with contextlib.suppress(BrokenPipeError):  # it has died: the answer will be None
                apart_child.send(process.stdin, request)
            return apart_child.receive(process.stdout), late.is_set()
        finally:
            guard.cancel()

    def _how_it_died(self, late: bool) -> str:
        child, self._child = self._child, None
        assert child is not None
        with contextlib.suppress(subprocess.TimeoutExpired):  # its pipe is closed: it is ending
            child.process.wait(ENDING_S)
        child.process.kill()
        code = child.process.wait()
        child.words.seek(0, io.SEEK_END)
        child.words.seek(max(child.words.tell() - 2000, 0))
        said = child.words.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "no message")
        child.end()
        if late:
            return f"took longer than {self._deadline_s:.0f} s and was stopped"
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"ended its process with {how} ({last})"
