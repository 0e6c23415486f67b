"""The real esptool on the ESP32-C3's files: no chip is here, its formats are.

A direct-boot image has no header that esptool could check, so the same ELF is made into Espressif's
own format: esptool then sorts each segment into the chip's memory map, and knows the addresses.
"""

import re
import subprocess
from pathlib import Path

import pytest

from edgeq.board import load_board
from edgeq.emit.firmware import firmware_project
from edgeq.flashers import esptool
from edgeq.flashers.flasher import Facts
from edgeq.memory import plan_memory
from edgeq.toolchain import Firmware, build, find_compiler, with_board
from edgeq.weights import pack_weights
from tests.apart import python_with
from tests.compilers import COMPILERS
from tests.factory import smallest_mixture
from tests.hang import HANG_S

pytestmark = pytest.mark.full
BOARD = load_board("esp32c3_devkit")


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return python_with(tmp_path_factory.mktemp("esptool"), "esptool>=5")


@pytest.fixture(params=COMPILERS)
def firmware(request: pytest.FixtureRequest, tmp_path: Path) -> Firmware:
    """A whole model's."""
    graph = smallest_mixture()
    project = firmware_project(
        graph, plan_memory(graph), pack_weights(graph), model_name="tiny", digest="12" * 32
    )
    return build(with_board(project, BOARD), BOARD, find_compiler(request.param), tmp_path)


def run(tool: Path, *words: object) -> tuple[int, str]:
    command = [str(tool), "-m", "esptool", "--chip", "esp32c3", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    return done.returncode, done.stdout + done.stderr


def test_each_segment_lies_where_the_chip_has_such_memory(
    tool: Path, firmware: Firmware, tmp_path: Path
) -> None:
    image = tmp_path / "app.bin"
    code, said = run(tool, "elf2image", "-o", image, firmware.elf)
    assert code == 0, said
    code, said = run(tool, "image-info", image)
    assert code == 0, said
    assert "ESP32-C3" in said
    kinds = set(re.findall(r"0x[0-9a-f]{8}  0x[0-9a-f]{8}  (\w+)", said))
    assert {"DROM", "IROM"} <= kinds <= {"DROM", "IROM", "DRAM", "PADDING"}, said
    assert len(re.findall(r"\(valid\)", said)) == 2, said


def test_what_is_written_is_the_image_and_no_image_of_the_boot_loaders(
    tool: Path, firmware: Firmware, tmp_path: Path
) -> None:
    merged = tmp_path / "merged.bin"
    code, said = run(tool, "merge-bin", "-o", merged, "0x0", firmware.bin)
    assert code == 0, said
    assert merged.read_bytes() == firmware.bin.read_bytes()
    code, said = run(tool, "image-info", firmware.bin)
    assert code != 0
    assert "magic number: 0x1d" in said, "else the ROM would load it as a boot loader"


def test_the_flashers_command_is_understood(tool: Path, firmware: Firmware, tmp_path: Path) -> None:
    """It fails at the port, not at a word of the command."""
    facts = Facts((str(tool), "-m", "esptool"), port=str(tmp_path / "none"))
    (command,) = esptool.commands(firmware, BOARD, facts)
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode != 0
    assert re.search(r"Could not open .*none", done.stdout + done.stderr)
    words = ["write-flush" if word == "write-flash" else word for word in command]
    bad = subprocess.run(words, capture_output=True, text=True, timeout=HANG_S)
    assert "write-flush" in bad.stdout + bad.stderr
