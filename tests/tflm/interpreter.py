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
    """The benchmark's own input: `size` bytes of int8."""
    bits = np.random.MT19937()
    bits._legacy_seeding(SEED)
    return (bits.random_raw(size) & 0xFF).astype(np.uint8).view(np.int8)


def run_tflm(model: bytes, x: Array) -> list[TflmRun]:
    """Runs int8 rows x (rows, *input shape), one fresh interpreter a row."""
    types = _output_types(model)
    asked = {
        "model": _base64(model),
        "own": _base64(own_input(x[0].size).tobytes()),
        "rows": [_base64(row.tobytes()) for row in x],
        "sizes": [dtype.itemsize * int(np.prod(shape)) for dtype, shape in types],
    }
    said = _ask(json.dumps(asked))
    assert len(said) == len(x)
    return [_run_of(entry, types, x[0].size) for entry in said]


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


def _output_types(model: bytes) -> list[tuple[np.dtype[Any], tuple[int, ...]]]:
    main = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0)).subgraphs[0]
    return [(NUMPY[main.tensors[i].type], tuple(main.tensors[i].shape)) for i in main.outputs]


def _run_of(entry: dict[str, Any], types: list[Any], size: int) -> TflmRun:
    text = "\n".join(entry["lines"])
    given = re.search(r"^Input CRC32: 0x(\w+)", text, re.M)
    if given is None or "Output CRC32" not in text:
        return TflmRun((), (), {}, text, _complaint(entry["lines"]))
    if int(given[1], 16) != zlib.crc32(own_input(size).tobytes()):
        raise NoAnswer(f"the benchmark's input is not the known one: {given[0]}")
    if entry["place"] < 0 or None in entry["outputs"] or len(entry["outputs"]) != len(types):
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
