"""The C kernels as a shared library of the host, and their parameter structs for ctypes."""

import ctypes as ct
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.resources import templates_dir

Array = npt.NDArray[Any]
FOLDER = templates_dir() / "kernels"
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
FLAGS = ("-std=c99", "-O1", "-shared", "-fPIC", *WARNINGS)


def sanitizers() -> str:
    """EDGEQ_KERNEL_SANITIZERS, so that a run under ASan can ask for both."""
    return os.environ.get("EDGEQ_KERNEL_SANITIZERS", "undefined")


def build(folder: Path, sources: Iterable[Path] = ()) -> None:
    """`sources` (all kernels) to folder/kernels.so by the host's gcc with the chosen sanitizers."""
    compiler = shutil.which("gcc")
    assert compiler is not None
    files = [str(p) for p in sources or sorted(FOLDER.glob("*.c"))]
    command = [compiler, *FLAGS, f"-fsanitize={sanitizers()}", f"-I{FOLDER}", *files]
    command += ["-o", str(folder / "kernels.so")]
    env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}  # ASan is not for gcc itself
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == 0, run.stderr


def _struct(fields: str) -> list[tuple[str, Any]]:
    """Fields written as "name:kind", kinds: p pointer, i int32, l int64."""
    kinds = {"p": ct.c_void_p, "i": ct.c_int32, "l": ct.c_int64}
    pairs = [f.split(":") for f in fields.split()]
    return [(name, kinds[kind]) for name, kind in pairs]


class FullyConnectedParams(ct.Structure):
    _fields_ = _struct(
        "weight:p bias:p multiplier:p shift:p inputs:i outputs:i input_zero_point:i "
        "output_zero_point:i activation_min:i activation_max:i"
    )


class Window(ct.Structure):
    _fields_ = _struct(
        "input_height:i input_width:i channels:i output_height:i output_width:i kernel_height:i "
        "kernel_width:i stride_height:i stride_width:i padding_top:i padding_left:i"
    )


class Conv2DParams(ct.Structure):
    _fields_ = [
        *_struct("weight:p bias:p multiplier:p shift:p"),
        ("window", Window),
        *_struct(
            "outputs:i input_zero_point:i output_zero_point:i activation_min:i activation_max:i"
        ),
    ]


class AveragePool2DParams(ct.Structure):
    _fields_ = [
        ("window", Window),
        *_struct("input_zero_point:i output_zero_point:i multiplier:i shift:i"),
    ]


class AddParams(ct.Structure):
    _fields_ = [
        ("size", ct.c_int32),
        ("zero_point", ct.c_int32 * 3),
        ("multiplier", ct.c_int32 * 3),
        ("shift", ct.c_int32 * 3),
        *_struct("activation_min:i activation_max:i"),
    ]


class ReluParams(ct.Structure):
    _fields_ = _struct("size:i activation_min:i activation_max:i")


class LayerNormParams(ct.Structure):
    _fields_ = _struct(
        "gamma:p beta:p epsilon:l rows:i features:i shift:i output_zero_point:i "
        "activation_min:i activation_max:i"
    )


class SoftmaxParams(ct.Structure):
    _fields_ = _struct("exp_table:p rows:i classes:i")


class RouterLayer(ct.Structure):
    _fields_ = [
        ("plain", FullyConnectedParams),
        ("dropped", FullyConnectedParams),
        ("mask", ct.c_void_p),
    ]


class RouterParams(ct.Structure):
    _fields_ = _struct(
        "layers:p exp_table:p prior:p u_min:l u_max:l threshold:l uncertainty_factor:l "
        "precise:i layer_count:i passes:i top_k:i rule:i"
    )


class Routing(ct.Structure):
    _fields_ = _struct("chosen:p logits:p gate_q15:p numerator:l uncertainty_q24:i")


class GateParams(ct.Structure):
    _fields_ = _struct("size:i expert_zero_point:i output_zero_point:i multiplier:i shift:i")


class Held:
    """Hands out pointers to exact-size copies and keeps them alive for the call."""

    def __init__(self) -> None:
        self.arrays: list[Any] = []

    def pointer(self, values: Any, dtype: Any) -> int:
        """Address of a fresh copy: what lies behind its last element belongs to nobody."""
        array = np.array(np.ravel(values), dtype=dtype)
        self.arrays.append(array)
        return int(array.ctypes.data)

    def packed(self, data: bytes) -> int:
        return self.pointer(np.frombuffer(data, dtype=np.uint8), np.uint8)


def call(function: Any, params: ct.Structure, *arrays: Array) -> None:
    """A kernel of the form f(const params *, pointers...)."""
    function.restype = None
    function(ct.byref(params), *(ct.c_void_p(int(a.ctypes.data)) for a in arrays))
