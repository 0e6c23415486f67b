"""The device answers as the reference does, bit for bit: logits and route of trained digits."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeq.board import load_board
from edgeq.toolchain import Firmware
from tests.acceptance.boards import Answers, call_infer, qemu_board, stream, virtual_board
from tests.acceptance.conftest import Digits
from tests.compilers import COMPILERS
from tests.hang import HANG_S

SAMPLED_ROWS = 20
CLASSES = 10
Build = Callable[..., Firmware]

# reads rows from standard input; writes output and route of each
DRIVER = r"""
#include <stdio.h>
#include "model/model.h"
int main(void) {
    int8_t input[EDGEQ_INPUT_BYTES], output[EDGEQ_OUTPUT_COUNT];
    edgeq_init();
    while (fread(input, 1, sizeof input, stdin) == sizeof input) {
        int8_t route;
        if (edgeq_infer(input, output) != 0) return 3;
        route = (int8_t)edgeq_route();
        fwrite(output, 1, sizeof output, stdout);
        fwrite(&route, 1, 1, stdout);
    }
    return 0;
}
"""


def assert_equal(answers: Answers, digits: Digits, rows: int) -> None:
    """Logits and route of the first `rows` test rows."""
    assert len(answers.output) == rows
    np.testing.assert_array_equal(answers.output, digits.expected.output[:rows])
    np.testing.assert_array_equal(answers.route, digits.expected.route[:rows])


def test_the_fixture_is_a_trained_network_that_uses_its_experts(digits: Digits) -> None:
    accuracy = (digits.expected.output.argmax(axis=1) == digits.labels).mean()
    assert accuracy > 0.7
    assert len(np.unique(digits.expected.route)) > 1


@pytest.mark.parametrize("kind", COMPILERS)
def test_sampled_rows_through_the_serial_port(kind: str, digits: Digits, firmware: Build) -> None:
    with virtual_board(firmware(kind).elf) as port:
        answers = stream(port, digits.rows[:SAMPLED_ROWS])
    assert_equal(answers, digits, SAMPLED_ROWS)
    assert (answers.cycles > 0).all()


@pytest.mark.parametrize("kind", COMPILERS)
def test_every_row_on_the_virtual_core(kind: str, digits: Digits, firmware: Build) -> None:
    answers = call_infer(firmware(kind).elf, digits.rows, CLASSES)
    assert_equal(answers, digits, len(digits.rows))


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("board", "kind"), [("qemu_mps2_an386", "gcc"), ("netduinoplus2", "zig")])
def test_every_row_in_qemu(board: str, kind: str, digits: Digits, firmware: Build) -> None:
    machine = load_board(board).probe.qemu_machine
    assert machine is not None
    with qemu_board(machine, firmware(kind, board).elf) as port:
        assert_equal(stream(port, digits.rows), digits, len(digits.rows))


@pytest.mark.full
@pytest.mark.parametrize("sanitize", ["address,undefined", "undefined"])
def test_every_row_on_the_host_under_sanitizers(
    sanitize: str, digits: Digits, tmp_path: Path
) -> None:
    program = host_program(digits, tmp_path, sanitize)
    done = subprocess.run(
        [program], input=digits.rows.tobytes(), capture_output=True, timeout=HANG_S
    )
    assert (done.returncode, done.stderr) == (0, b"")
    records = np.frombuffer(done.stdout, np.int8).reshape(-1, CLASSES + 1)
    answers = Answers(records[:, :CLASSES], records[:, CLASSES], np.zeros(len(records)))
    assert_equal(answers, digits, len(digits.rows))


def host_program(digits: Digits, folder: Path, sanitize: str) -> Path:
    """The model and its kernels as a program of this machine; zig cannot link ASan."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no gcc or cc: the sanitizers need the host's compiler")
    digits.project.write(folder / "p")
    (folder / "driver.c").write_text(DRIVER)
    names = [n for n in digits.project.files if n.startswith(("model/", "kernels/"))]
    sources = [f"p/{n}" for n in names if n.endswith(".c")]
    flags = ["-std=c99", "-O1", f"-fsanitize={sanitize}", "-fno-sanitize-recover=all", "-Ip"]
    command = [compiler, *flags, "-Ip/kernels", "driver.c", *sources, "-o", "driver"]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=HANG_S)
    if "asan" in made.stderr and made.returncode:
        pytest.skip("the sanitizer libraries are not installed")
    assert made.returncode == 0, made.stderr
    return folder / "driver"
