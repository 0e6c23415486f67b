"""TensorFlow Lite Micro itself: the wheel `mcufit` carries its generic benchmark as WebAssembly.

The benchmark says whether the interpreter takes the file, every operator in the order it ran, the
arena and checksums. run.mjs gives it rows of ours and reads its outputs back, by those checksums.
"""

import atexit
import base64
import json
import re
import shutil
import subprocess
import threading
import zlib
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeq.ops.op import Array

SCRIPT = Path(__file__).with_name("run.mjs")
HANG_S = 300
SEED = 0xFB  # of the MT19937 whose low bytes the benchmark takes for its input
NUMPY = {
    schema.TensorType.INT8: np.dtype(np.int8),
    schema.TensorType.INT16: np.dtype(np.int16),
    schema.TensorType.INT32: np.dtype(np.int32),
}


@dataclass(frozen=True)
class TflmRun:
    """One row: the outputs by order in the file, the operators as they ran, the arena's bytes.

    `refused` holds the interpreter's words where it did not run the file; then the rest is empty.
    """

    outputs: tuple[Array, ...]
    trace: tuple[str, ...]
    arena: dict[str, int]
    text: str = ""  # all that it printed
    refused: str = ""


class NoAnswer(Exception):
    """The benchmark ran and an output could not be read back."""


def tflm_is_here() -> bool:
    """Whether the benchmark and node are on this machine."""
    return find_spec("mcufit") is not None and shutil.which("node") is not None


def tflm_js() -> Path:
    """The benchmark; skips where it or node is absent."""
    if not tflm_is_here():
        pytest.skip("TensorFlow Lite Micro needs the wheel mcufit and node: one is not here")
    spec = find_spec("mcufit")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "wasm" / "tflm.js"


def own_input(size: int) -> Array:
    """The benchmark's own inputs, one behind the other: `size` bytes, as int8."""
    bits = np.random.MT19937()
    bits._legacy_seeding(SEED)
    return (bits.random_raw(size) & 0xFF).astype(np.uint8).view(np.int8)


def run_tflm(model: bytes, *inputs: Array) -> list[TflmRun]:
    """Runs rows of each input in the file's order (rows, *its shape), as int8 or int16 codes.

    One fresh interpreter a row: a state is given and taken by whoever calls.
    """
    types = _types(model, "outputs")
    wanted = [dtype for dtype, _ in _types(model, "inputs")]
    assert [x.dtype for x in inputs] == wanted, f"the file takes {wanted}"
    own = _own_of([x[0].nbytes for x in inputs])
    asked = {
        "model": _base64(model),
        "own": [_base64(each) for each in own],
        "rows": [[_base64(x.tobytes()) for x in row] for row in zip(*inputs, strict=True)],
        "sizes": [dtype.itemsize * int(np.prod(shape)) for dtype, shape in types],
    }
    said = _ask(json.dumps(asked))
    assert len(said) == len(inputs[0])
    return [_run_of(entry, types, own) for entry in said]


def _own_of(sizes: list[int]) -> list[bytes]:
    """Its own bytes of each input: one generator fills all."""
    whole, ends = own_input(sum(sizes)).tobytes(), np.cumsum([0, *sizes]).tolist()
    return [whole[start:end] for start, end in pairwise(ends)]


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@cache
def _node() -> subprocess.Popen[str]:
    """One process of node for all runs of this process: it compiles the benchmark once."""
    command = ["node", str(SCRIPT), str(tflm_js())]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.kill)
    return process


def _ask(line: str) -> list[dict[str, Any]]:
    process = _node()
    assert process.stdin is not None
    assert process.stdout is not None
    guard = threading.Timer(HANG_S, process.kill)
    guard.start()
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
    finally:
        guard.cancel()
    if not answer:
        _node.cache_clear()
        raise NoAnswer("node ended without an answer; its words stand on stderr")
    return list(json.loads(answer))


def _types(model: bytes, side: str) -> list[tuple[np.dtype[Any], tuple[int, ...]]]:
    main = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0)).subgraphs[0]
    tensors = [main.tensors[i] for i in getattr(main, side)]
    return [(NUMPY[tensor.type], tuple(tensor.shape)) for tensor in tensors]


def _run_of(entry: dict[str, Any], types: list[Any], own: list[bytes]) -> TflmRun:
    text = "\n".join(entry["lines"])
    given = [int(crc, 16) for crc in re.findall(r"^Input CRC32: 0x(\w+)", text, re.M)]
    if not given or "Output CRC32" not in text:
        return TflmRun((), (), {}, text, _complaint(entry["lines"]))
    if given != [zlib.crc32(each) for each in own]:
        raise NoAnswer(f"the benchmark's inputs are not the known ones: {given}")
    if min(entry["places"]) < 0 or None in entry["outputs"] or len(entry["outputs"]) != len(types):
        raise NoAnswer(f"no place of input or outputs in its memory: {entry}")
    outputs = tuple(
        np.frombuffer(bytes.fromhex(raw), dtype).reshape(shape)
        for raw, (dtype, shape) in zip(entry["outputs"], types, strict=True)
    )
    trace = tuple(re.findall(r"^([A-Z_0-9]+) took \d+ ticks", text, re.M))
    rows = re.findall(r"^\s*(Total|NonPersistent|Persistent) \|\s*(\d+)", text, re.M)
    return TflmRun(outputs, trace, {name: int(n) for name, n in rows}, text)


def _complaint(lines: list[str]) -> str:
    """What it said after its build's facts."""
    last = max((i for i, line in enumerate(lines) if line.startswith("BUILD_TYPE")), default=-1)
    return "\n".join(lines[last + 1 :]).strip(" \n-") or "nothing was said"
