"""FullyConnected kernels for DSP cores with weights of one or two bits, against the reference."""

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.board import load_board
from edgeq.ir import Quant, TensorType
from edgeq.kernels.streams import two_rows
from edgeq.ops import fully_connected
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.op import Io, activation_bounds
from tests.compilers import COMPILERS
from tests.kernels import host_kernels, samples
from tests.kernels.conftest import KERNELS
from tests.kernels.cross_kernels import FLAGS, command
from tests.kernels.host_kernels import FOLDER, FullyConnectedParams, Held, call

STREAMS = {"t2": two_rows.T2, "s2": two_rows.S2, "b1": two_rows.B1}
SCRATCH = {
    "t2": two_rows.scratch_bytes_t2,
    "s2": two_rows.scratch_bytes_s2,
    "b1": two_rows.scratch_bytes_b1,
}
TOKENS = tuple(STREAMS)
SOURCES = [FOLDER / f"edgeq_fully_connected_s8_{token}_dsp.c" for token in TOKENS]
BITS = {"t2": 2, "s2": 2, "b1": 1}
LINK = Path(__file__).parent.parent / "constant_time.ld"
ACTIVATIONS = ("none", "relu", "relu6")
# inputs around a step, a pass and a block of each format; outputs around a run
EDGES = ((1, 1), (8, 4), (9, 5), (41, 8), (57, 9), (120, 13), (241, 3), (248, 12), (500, 2))
GUARD = b"\x5a" * 16


@dataclass(frozen=True)
class Case:
    """One layer with its input, and what the kernel must answer."""

    token: str
    x: samples.Array
    weight: samples.Array
    q_in: Quant
    q_out: Quant
    r: samples.Requantization
    bounds: tuple[int, int]
    wanted: samples.Array

    @property
    def words(self) -> samples.Array:
        return STREAMS[self.token].pack(self.weight)

    @property
    def bias(self) -> samples.Array:
        sums = self.weight.astype(np.int64).sum(1)
        return STREAMS[self.token].bias(sums, self.r.bias, self.q_in.zero_point)

    @property
    def scratch_bytes(self) -> int:
        outputs, inputs = self.weight.shape
        return SCRATCH[self.token](inputs, outputs)


def right_shifts(rng: np.random.Generator, reach: samples.Array) -> samples.Requantization:
    """What the exporter gives these kernels: right shifts only, |accumulator| < 2^30."""
    bias = rng.integers(-(2**16), 2**16 + 1, reach.shape)
    bits = np.ceil(np.log2(reach + np.abs(bias) + 2)).astype(np.int64)
    near = np.where(rng.random(bits.shape) < 0.8, bits - 8, rng.integers(1, 32, bits.shape))
    multiplier = rng.integers(2**30, 2**31, bits.shape)
    multiplier[rng.random(bits.shape) < 0.1] = 2**31 - 1
    return samples.Requantization(
        bias.astype(np.int32),
        multiplier.astype(np.int32),
        -np.clip(near, 1, 31).astype(np.int32),
    )


def case(token: str, inputs: int, outputs: int, seed: int, fill: str, act: str) -> Case:
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (1, inputs))
    weight = samples.weights(rng, str(rng.choice([fill, *samples.FILLS])), (outputs, inputs), token)
    q_in, q_out = samples.quant(rng), samples.quant(rng)
    r = right_shifts(rng, np.abs(weight.astype(np.int64)).sum(1) * 255)
    io = Io((TensorType((inputs,), "int8", q_in),), TensorType((outputs,), "int8", q_out))
    params = {"weight": weight, "bias": r.bias, "multiplier": r.multiplier, "shift": r.shift}
    wanted = fully_connected.OP.reference(FullyConnected(token, act), io, (x,), params)
    return Case(token, x, weight, q_in, q_out, r, activation_bounds(act, q_out), wanted[0])


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc on this machine: the kernels cannot be built for the host")
    return host_kernels.build(tmp_path_factory.mktemp("narrow"), SOURCES)


def on_host(kernels: ctypes.CDLL, c: Case) -> samples.Array:
    held, y = Held(), np.zeros(len(c.weight), np.int8)
    params = FullyConnectedParams(
        held.pointer(c.words, np.uint32),
        held.pointer(c.bias, np.int32),
        held.pointer(c.r.multiplier, np.int32),
        held.pointer(c.r.shift, np.int8),
        c.weight.shape[1],
        c.weight.shape[0],
        c.q_in.zero_point,
        c.q_out.zero_point,
        *c.bounds,
    )
    scratch = np.zeros(c.scratch_bytes, np.uint8)
    call(getattr(kernels, f"edgeq_fully_connected_s8_{c.token}_dsp"), params, c.x, y, scratch)
    return y


@pytest.mark.parametrize("token", TOKENS)
@given(
    inputs=st.integers(1, 300),
    outputs=st.integers(1, 18),
    seed=st.integers(0, 2**32 - 1),
    fill=st.sampled_from(samples.FILLS),
    act=st.sampled_from(ACTIVATIONS),
)
@KERNELS
def test_equals_reference(
    narrow: ctypes.CDLL, token: str, inputs: int, outputs: int, seed: int, fill: str, act: str
) -> None:
    c = case(token, inputs, outputs, seed, fill, act)
    np.testing.assert_array_equal(on_host(narrow, c), c.wanted)


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("x_fill", ["low", "high"])
@pytest.mark.parametrize("w_fill", ["low", "high", "ends"])
def test_no_lane_overflows(narrow: ctypes.CDLL, token: str, x_fill: str, w_fill: str) -> None:
    """Every block at its extreme: all activations and a row's weights at an end."""
    c = case(token, 1536, 12, 7, x_fill, "none")
    weight = samples.weights(np.random.default_rng(1), w_fill, c.weight.shape, token)
    acc = fully_connected.accumulate(c.x, c.q_in.zero_point, weight, c.r.bias)
    io = Io((TensorType((1536,), "int8", c.q_in),), TensorType((12,), "int8", c.q_out))
    params = {"weight": weight, "bias": c.r.bias, "multiplier": c.r.multiplier, "shift": c.r.shift}
    wanted = fully_connected.OP.reference(FullyConnected(token), io, (c.x,), params)[0]
    assert np.abs(acc).max() < 2**30
    changed = Case(token, c.x, weight, c.q_in, c.q_out, c.r, c.bounds, wanted)
    np.testing.assert_array_equal(on_host(narrow, changed), wanted)


@pytest.mark.parametrize("token", TOKENS)
def test_stream_has_the_true_width(token: str) -> None:
    """Rows padded to 4, columns to 8, nothing else."""
    for inputs, outputs in EDGES:
        c = case(token, inputs, outputs, 1, "random", "none")
        padded = (-(-outputs // 4) * 4) * (-(-inputs // 8) * 8)
        assert c.words.dtype == np.uint32
        assert c.words.nbytes * 8 == padded * BITS[token]


def test_streams_of_the_examples() -> None:
    """The words that the sources' header comments spell out."""
    t2 = np.zeros((2, 8), np.int8)
    t2[0, :2], t2[1, :3] = (1, -1), (-1, 0, 1)
    assert two_rows.T2.pack(t2).tolist() == [0x5111D102, 0]
    s2 = np.array([[3, -3, 1] + [-3] * 5, [-3, 3] + [1] * 6], np.int8)
    assert two_rows.S2.pack(s2).tolist() == [0x00068003, 0]
    b1 = np.full((4, 8), -1, np.int8)
    b1[0, 0] = b1[2, 0] = b1[2, 2] = 1
    assert two_rows.B1.pack(b1).tolist() == [0xAAAEAAAF]


@pytest.fixture(scope="module", params=COMPILERS)
def core(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernels linked for Cortex-M4 by one compiler."""
    folder = tmp_path_factory.mktemp(f"narrow_{request.param}")
    memory = FOLDER.parent / "runtime" / "memory.c"
    includes = [f"-I{FOLDER}", f"-I{memory.parent}", "-fno-builtin", "-nostdlib"]
    link = [f"-Wl,-T,{LINK}", "-Wl,-e,edgeq_fully_connected_s8_t2_dsp", "-Wl,--no-gc-sections"]
    elf = folder / "narrow.elf"
    sources = [str(s) for s in (*SOURCES, memory)]
    run = subprocess.run(
        [*command(request.param), *FLAGS, *includes, *sources, *link, "-o", str(elf)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return elf


def places(c: Case, origin: int) -> Iterator[tuple[str, int, bytes]]:
    """Name, address and content of a layer's memory; x and y off the words."""
    outputs = len(c.weight)
    contents = {
        "weight": c.words.tobytes(),
        "bias": c.bias.tobytes(),
        "multiplier": c.r.multiplier.tobytes(),
        "shift": c.r.shift.astype(np.int8).tobytes(),
        "x": c.x.tobytes(),
        "y": GUARD + bytes(outputs) + GUARD,
        "scratch": bytes(c.scratch_bytes) + GUARD,
    }
    for name, content in contents.items():
        yield name, origin + (1 if name in ("x", "y") else 0), content
        origin += (len(content) + 16) // 8 * 8


def on_core(elf: Path, c: Case) -> tuple[samples.Array, int]:
    """(y, cycles) of the assembly; nothing behind y and scratch is written."""
    from edgeq.sim import Machine  # here: its capstone cannot load in a run under ASan

    machine = Machine(load_board("virtual_m4")).load(elf)
    origin = machine.config.ram_origin
    at = {}
    for name, address, content in places(c, origin + 0x100):
        machine.write(address, content)
        at[name] = address
    outputs, inputs = c.weight.shape
    fields = (at["weight"], at["bias"], at["multiplier"], at["shift"], inputs, outputs)
    fields += (c.q_in.zero_point, c.q_out.zero_point, *c.bounds)
    machine.write(origin, np.array(fields, np.int64).astype(np.uint32).tobytes())
    args = (origin, at["x"], at["y"] + len(GUARD), at["scratch"])
    called = machine.call(f"edgeq_fully_connected_s8_{c.token}_dsp", args)
    y = machine.read(at["y"], outputs + 2 * len(GUARD))
    assert y[: len(GUARD)] == y[-len(GUARD) :] == GUARD
    assert machine.read(at["scratch"] + c.scratch_bytes, len(GUARD)) == GUARD
    return np.frombuffer(y[len(GUARD) : -len(GUARD)], np.int8), called.cycles


@pytest.mark.parametrize("token", TOKENS)
def test_core_equals_reference(core: Path, token: str) -> None:
    for seed, (inputs, outputs) in enumerate(EDGES):
        act = ACTIVATIONS[seed % 3]
        c = case(token, inputs, outputs, seed, samples.FILLS[seed % 4], act)
        np.testing.assert_array_equal(on_core(core, c)[0], c.wanted)


@pytest.mark.parametrize("token", TOKENS)
def test_cycles_do_not_depend_on_data(core: Path, token: str) -> None:
    seen = {
        on_core(core, case(token, 131, 6, seed, fill, "relu6"))[1]
        for seed, fill in enumerate(samples.FILLS)
    }
    assert len(seen) == 1


@pytest.mark.full
@pytest.mark.parametrize("token", TOKENS)
def test_core_on_every_width(core: Path, token: str) -> None:
    """All remainders of steps, passes and blocks, and of runs."""
    for inputs in range(1, 300, 3):
        c = case(token, inputs, 1 + inputs % 17, inputs, samples.FILLS[inputs % 4], "none")
        np.testing.assert_array_equal(on_core(core, c)[0], c.wanted)
