"""The RP2040's second stage: its size, its checksum at every build, and the UF2 file around it."""

import importlib.util
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeq.board import load_board
from edgeq.errors import BadInput, Toolchain
from edgeq.firmware_project import FirmwareProject
from edgeq.resources import templates_dir
from edgeq.toolchain import Firmware, build, find_compiler, with_board
from edgeq.toolchain.uf2 import uf2_blocks, uf2_file
from tests.compilers import COMPILERS
from tests.hang import HANG_S

ECHO = Path(__file__).parents[1] / "emulated" / "echo_main.c"
PROJECT = FirmwareProject({"main.c": ECHO.read_bytes()})
PICO = load_board("rp2040")
FAMILY = 0xE48BFF56
SEAL = templates_dir() / "port" / "rp2040" / "seal.py"


@pytest.fixture(scope="module")
def seal() -> ModuleType:
    spec = importlib.util.spec_from_file_location("edgeq_seal", SEAL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def built(kind: str, folder: Path) -> Firmware:
    try:
        compiler = find_compiler(kind)  # type: ignore[arg-type]
    except Toolchain as error:
        pytest.skip(str(error))
    return build(with_board(PROJECT, PICO), PICO, compiler, folder)


def test_the_checksum_is_crc_32_mpeg_2(seal: ModuleType) -> None:
    assert seal.crc32(b"123456789") == 0x0376E6E7  # the check value of every catalogue
    assert seal.crc32(b"") == 0xFFFFFFFF


@pytest.mark.parametrize("kind", COMPILERS)
def test_a_build_is_sealed_in_all_its_forms(kind: str, tmp_path: Path, seal: ModuleType) -> None:
    firmware = built(kind, tmp_path)
    image = firmware.bin.read_bytes()
    assert struct.unpack_from("<I", image, 252)[0] == seal.crc32(image[:252])
    assert any(image[:200]), "the second stage is empty"
    blocks = list(uf2_blocks(firmware.bin.with_suffix(".uf2").read_bytes()))
    assert blocks[0][0] == PICO.flash.origin
    assert {family for _address, _payload, family in blocks} == {FAMILY}
    assert b"".join(payload for _a, payload, _f in blocks)[: len(image)] == image
    start, size = seal.section(firmware.elf.read_bytes(), ".second_stage")
    assert firmware.elf.read_bytes()[start : start + size] == image[:256]


def test_a_board_without_a_boot_drive_has_no_uf2_file(tmp_path: Path) -> None:
    board = load_board("nrf52840dk")
    (tmp_path / "firmware.uf2").write_text("of another board")
    build(with_board(PROJECT, board), board, find_compiler(), tmp_path)
    assert not (tmp_path / "firmware.uf2").exists()


def test_the_makefile_seals_too(tmp_path: Path, seal: ModuleType) -> None:
    for tool in ("make", "arm-none-eabi-gcc"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    with_board(PROJECT, PICO).write(tmp_path / "out")
    run = subprocess.run(
        ["make"], cwd=tmp_path / "out", capture_output=True, text=True, timeout=HANG_S
    )
    assert run.returncode == 0, run.stderr
    elf = (tmp_path / "out" / "build" / "firmware.elf").read_bytes()
    start, _ = seal.section(elf, ".second_stage")
    assert struct.unpack_from("<I", elf, start + 252)[0] == seal.crc32(elf[start : start + 252])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a 32-bit"),
        (b"\x7fELF\x02\x01" + bytes(60), "not a 32-bit"),
        (b"\x7fELF\x01\x01" + bytes(4), "requires a buffer"),
        (None, "no section .second_stage"),
    ],
    ids=["empty", "64-bit", "cut", "another board's"],
)
def test_what_cannot_be_sealed_is_refused(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "firmware.elf"
    if content is None:
        board = load_board("virtual_m4")
        build(with_board(PROJECT, board), board, find_compiler(), tmp_path)
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    run = subprocess.run(
        [sys.executable, SEAL, path], capture_output=True, text=True, timeout=HANG_S
    )
    assert run.returncode == 1
    assert said in run.stderr
    assert "Traceback" not in run.stderr
    assert path.read_bytes() == before


def test_a_second_stage_that_is_too_large_does_not_link(tmp_path: Path) -> None:
    project = with_board(PROJECT, PICO)
    name = "port/rp2040/second_stage.c"
    more = b'\nIN_SECOND_STAGE static void more(void) {\n    __asm volatile(".space 40");\n}\n'
    with pytest.raises(Toolchain, match="no place for its checksum"):
        build(
            project.with_files({name: project.files[name] + more}),
            PICO,
            find_compiler("gcc" if shutil.which("arm-none-eabi-gcc") else "zig"),
            tmp_path,
        )


ORIGINS = st.one_of(st.integers(0, 2**24), st.integers(2**24 - 6, 2**24))


@given(st.binary(max_size=1500), ORIGINS.map(lambda n: n * 256))
@example(b"", 2**32)  # what once turned this test red
@example(b"x", 2**32)
@example(b"x" * 257, 2**32 - 256)
@example(b"x" * 256, 2**32 - 256)
def test_uf2_comes_back_whole_in_any_order(image: bytes, origin: int) -> None:
    if origin + -(-len(image) // 256) * 256 > 2**32:
        with pytest.raises(BadInput, match="UF2 has 32 bits for an address"):
            uf2_file(image, origin, FAMILY)
        return
    data = uf2_file(image, origin, FAMILY)
    blocks = list(uf2_blocks(data))
    assert len(data) == 512 * len(blocks)
    random.Random(1).shuffle(blocks)
    flash = b"".join(payload for _address, payload, _family in sorted(blocks))
    assert flash[: len(image)] == image
    assert set(flash[len(image) :]) <= {0xFF}
    assert [address for address, _p, _f in sorted(blocks)] == [
        origin + 256 * i for i in range(len(blocks))
    ]


@pytest.mark.parametrize(("origin", "family"), [(2**32, 1), (2**40, 1), (-256, 1), (0, 2**32)])
def test_case_45_an_address_past_32_bits_is_a_clear_error(origin: int, family: int) -> None:
    with pytest.raises(BadInput, match="32 bits for an address and a family") as raised:
        uf2_file(b"image", origin, family)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("change", ["flash", "ram"])
def test_case_45_a_board_file_past_32_bits_is_refused(change: str) -> None:
    region = getattr(PICO, change).model_dump() | {"origin": 0xFFFF0000}
    with pytest.raises(ValueError, match="end past 32 bits"):
        type(PICO).model_validate(PICO.model_dump() | {change: region})


@pytest.mark.parametrize(
    ("at", "byte", "said"),
    [(0, 0, "magic"), (4, 0, "magic"), (508, 0, "magic"), (9, 0, "flags"), (16, 0, "0 bytes")],
)
def test_a_damaged_uf2_block_is_refused(at: int, byte: int, said: str) -> None:
    data = bytearray(uf2_file(b"image" * 100, 0x10000000, FAMILY))
    data[at] = byte
    if at == 16:
        data[17] = 0
    with pytest.raises(ValueError, match=said):
        list(uf2_blocks(bytes(data)))
    with pytest.raises(ValueError, match="whole blocks"):
        list(uf2_blocks(bytes(data[:-1])))
