"""`<name>_step` in C, under the sanitizers and on the virtual board: when it answers, and what."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgeq.board import load_board
from edgeq.compiled import Compiled, compile_graph
from edgeq.ir import Graph
from edgeq.ops.op import Array
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.stream import stream, timing, unpadded
from edgeq.prove.firmware import check_on_twin
from edgeq.reference import random_rows, run
from edgeq.toolchain import build, find_compiler, with_board
from tests.compilers import COMPILERS
from tests.hang import HANG_S
from tests.stream_graphs import window_graph

DIGEST = "0123456789abcdef" * 4
NETS = [(seed, seed % 2, 1 + seed % 3) for seed in range(6)]  # seed, axis of time, least hops
DSP = frozenset({"dsp"})

# a frame in, what step said and the output out; the frame of value 99 everywhere is a reset
DRIVER = r"""
#include <stdio.h>
#include "model/window.h"
static window_context net;
int main(void) {
    int8_t frame[WINDOW_FRAME_BYTES], output[WINDOW_OUTPUT_COUNT];
    window_init(&net);
    if (window_step(NULL, frame, output) != -1 || window_step(&net, NULL, output) != -1 ||
        window_step(&net, frame, NULL) != -1) return 2;
    for (int n = 0; fread(frame, 1, sizeof frame, stdin) == sizeof frame; n++) {
        if (n == RESET_AT) window_reset(&net);
        for (int i = 0; i < WINDOW_OUTPUT_COUNT; i++) output[i] = 42;
        const int found = window_step(&net, frame, output);
        if (found == WINDOW_NOT_YET && window_confidence(&net) != 0) return 3;
        putchar(found);
        fwrite(output, 1, sizeof output, stdout);
    }
    return 0;
}
"""


def step_of(seed: int, axis: int, times: int) -> tuple[Graph, Graph]:
    """A step, and the window that it answers as."""
    graph = window_graph(seed, axis, padded=seed % 3 == 2, behind=seed % 3 == 2)
    step = stream(graph, times * timing(graph).step, lookahead=True)
    return select_kernels(step, DSP), unpadded(graph)


def frames_of(step: Graph, hops: int, seed: int) -> Array:
    """(frames, bytes of a frame)."""
    assert step.stream is not None
    return random_rows(step, hops, seed).reshape(hops * step.stream.hop, -1)


def wanted(window: Graph, frames: Array, hop: int) -> list[Array | None]:
    """The window's answer at each frame: None before the first, the last one between hops."""
    shape = window.tensors[window.inputs[0]].shape
    size = int(np.prod(shape)) // frames.shape[1]
    found: list[Array | None] = []
    for end in range(1, len(frames) + 1):
        if end % hop == 0 and end >= size:
            row = frames[end - size : end].reshape(1, *shape)
            found.append(run(window, row).output.reshape(-1))
        else:
            found.append(found[-1] if found else None)
    return found


def program(compiled: Compiled, folder: Path, reset_at: int) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc on this machine")
    compiled.project.write(folder / "p")
    (folder / "driver.c").write_text(f"#define RESET_AT {reset_at}\n{DRIVER}")
    names = [n for n in compiled.project.files if n.startswith(("model/", "kernels/"))]
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-Ip"]
    command += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "driver.c"]
    command += [*(f"p/{n}" for n in names if n.endswith(".c")), "-o", "driver"]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=HANG_S)
    assert made.returncode == 0, made.stderr
    return folder / "driver"


@pytest.mark.parametrize(("seed", "axis", "times"), NETS)
def test_not_yet_same_and_new(seed: int, axis: int, times: int, tmp_path: Path) -> None:
    """Then a reset in the middle of a hop, after which it begins anew."""
    step, window = step_of(seed, axis, times)
    assert step.stream is not None
    hop = step.stream.hop
    frames = frames_of(step, step.stream.first + 4, seed)
    again = np.concatenate([frames, frames[: hop - 1], frames])
    runs = program(compile_graph(step, "m", DIGEST), tmp_path, len(frames) + hop - 1)
    ran = subprocess.run([runs], input=again.tobytes(), capture_output=True, timeout=HANG_S)
    assert ran.returncode == 0, ran.stderr.decode()
    said = np.frombuffer(ran.stdout, np.int8).reshape(len(again), -1)
    answers = wanted(window, frames, hop)
    whole = [*answers, *[answers[-1]] * (hop - 1), *answers]
    for at, (record, answer) in enumerate(zip(said, whole, strict=True)):
        if answer is None:
            assert record[0] == 0
            assert (record[1:] == 42).all(), "output was touched before there was an answer"
            continue
        frame = at if at < len(frames) else (at - len(frames) - hop + 1) % len(frames)
        between = len(frames) <= at < len(frames) + hop - 1
        assert record[0] == (2 if (frame + 1) % hop == 0 and not between else 1)
        np.testing.assert_array_equal(record[1:], answer)


@pytest.mark.full
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("seed", "axis", "times"), NETS[:3])
def test_on_the_virtual_board(
    seed: int, axis: int, times: int, compiler: str, tmp_path: Path
) -> None:
    """Every layer's bytes, in sequence; the reference is held to the window elsewhere."""
    step, _ = step_of(seed, axis, times)
    board = load_board("virtual_m4")
    compiled = compile_graph(step, "m", DIGEST)
    project = with_board(compiled.project, board)
    elf = build(project, board, find_compiler(compiler), tmp_path).elf
    check = check_on_twin(step, random_rows(step, 20, seed), board, elf)
    assert check.passed, check.said
    assert check.samples >= 20
