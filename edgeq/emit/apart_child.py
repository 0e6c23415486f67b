"""The child of `apart`: reads requests from stdin, runs a file, writes the answer to stdout.

Frames are a length and an .npz, never pickled, in both directions.
"""

import contextlib
import io
import os
import signal
import struct
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import IO

import numpy as np

from edgeq.ops.op import Array

MEMORY_BYTES = 8 << 30  # of address space; far beyond any model for a microcontroller
HEAD = struct.Struct("<Q")


def send(pipe: IO[bytes], values: Mapping[str, Array]) -> None:
    """Writes one frame."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **values)
    pipe.write(HEAD.pack(file.tell()) + file.getvalue())
    pipe.flush()


def receive(pipe: IO[bytes]) -> dict[str, Array] | None:
    """Reads one frame; None where the other side has ended."""
    head = pipe.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    (length,) = HEAD.unpack(head)
    body = pipe.read(length)
    if len(body) < length:
        return None
    with np.load(io.BytesIO(body), allow_pickle=False) as data:
        return {key: data[key] for key in data.files}


def answer(request: Mapping[str, Array]) -> Mapping[str, Array]:
    """The run's fields, or "error" with the interpreter's words."""
    model, x = request["model"].tobytes(), request["x"]
    try:
        from edgeq.emit.runs import FormEnds

        ends = FormEnds.parse(str(request["ends"])) if "ends" in request else None
        if request["form"] == "onnx":
            from edgeq.emit.onnx_check import run_onnx

            return {k: np.asarray(v) for k, v in vars(run_onnx(model, x, ends)).items()}
        from edgeq.emit.tflite_check import run_plain_tflite, run_tflite

        if request["form"] == "plain_tflite":
            output, real = run_plain_tflite(model, x, request["real"])
            return {"output": output, "real": real}
        return {k: np.asarray(v) for k, v in asdict(run_tflite(model, x, ends=ends)).items()}
    except Exception as error:  # whatever an interpreter raises is its finding
        return {"error": np.array(f"{type(error).__name__}: {error}")}


def _limit() -> None:
    """No core file of an abort, bounded memory, and Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def main() -> None:
    """Serves until stdin ends. What a library prints to stdout goes to stderr."""
    _limit()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while (request := receive(sys.stdin.buffer)) is not None:
        send(out, answer(request))


if __name__ == "__main__":
    main()
