"""The C kernels as a shared library of the host, with the structs of their header."""

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
from tests.kernels.c_structs import ctypes_struct

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


FullyConnectedParams = ctypes_struct("edgeq_fully_connected_params")
Window = ctypes_struct("edgeq_window")
Conv2DParams = ctypes_struct("edgeq_conv_2d_params")
AveragePool2DParams = ctypes_struct("edgeq_average_pool_2d_params")
MeanPool2DParams = ctypes_struct("edgeq_mean_pool_2d_params")
AddParams = ctypes_struct("edgeq_add_params")
ReluParams = ctypes_struct("edgeq_relu_params")
LayerNormParams = ctypes_struct("edgeq_layer_norm_params")
SoftmaxParams = ctypes_struct("edgeq_softmax_params")
SoftmaxQ31Params = ctypes_struct("edgeq_softmax_q31_params")
RouterLayer = ctypes_struct("edgeq_router_layer")
RouterParams = ctypes_struct("edgeq_router_params")
Routing = ctypes_struct("edgeq_routing")
GateParams = ctypes_struct("edgeq_gate_params")


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
