"""Real builds with both compilers: sizes, fit, determinism, and every way a build can fail."""

import shutil
import subprocess
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet
from elftools.elf.elffile import ELFFile

from edgeq.board import Board, all_boards, load_board, target_board
from edgeq.cores import CORES
from edgeq.errors import BadInput, MemoryBudget, Toolchain
from edgeq.firmware_project import FirmwareProject
from edgeq.toolchain import Compiler, Firmware, build, find_compiler, with_board
from edgeq.toolchain import compiler as compiler_module
from edgeq.toolchain.assemble import firmware_digest
from edgeq.toolchain.image import flash_image, measure
from tests import compiler_cache
from tests.compilers import COMPILERS
from tests.hang import HANG_S

ECHO = Path(__file__).parents[1] / "emulated" / "echo_main.c"
PROJECT = FirmwareProject({"main.c": ECHO.read_bytes()})


def _compiler(kind: str) -> Compiler:
    try:
        return find_compiler(kind)  # type: ignore[arg-type]
    except Toolchain as error:
        pytest.skip(str(error))


@pytest.fixture(params=COMPILERS)
def compiler(request: pytest.FixtureRequest) -> Compiler:
    return _compiler(request.param)


def _builds() -> list[ParameterSet]:
    """Boards of each kind in the default run, with the compiler at hand; the rest in full."""
    virtual = {(name, kind) for name in ("virtual_m0plus", "virtual_m4") for kind in ("gcc", "zig")}
    quick = virtual | {("nucleo_l4r5zi", COMPILERS[0]), ("rpi_pico", "gcc"), ("rpi_pico", "zig")}
    return [
        pytest.param(board, kind, id=f"{board.name}-{kind}", marks=marks)
        for board in all_boards()
        for kind in ("gcc", "zig")
        for marks in [() if (board.name, kind) in quick else (pytest.mark.full,)]
    ]


@pytest.mark.parametrize(("board", "kind"), _builds())
def test_every_port_builds_without_a_warning(board: Board, kind: str, tmp_path: Path) -> None:
    compiler = _compiler(kind)
    firmware = build(with_board(PROJECT, board), board, compiler, tmp_path)
    assert firmware.flash_bytes == sum(
        size for name, size in firmware.sections.items() if name not in (".bss", ".noinit")
    )
    assert firmware.ram_bytes >= board.port.stack_bytes
    assert firmware.bin.stat().st_size >= firmware.flash_bytes
    if CORES[board.core].isa == "arm":  # RISC-V begins with code, and has a gcc of its own
        assert compiler.version in firmware.compiler
        with firmware.elf.open("rb") as file:
            symbols = ELFFile(file).get_section_by_name(".symtab")
            (place,) = symbols.get_symbol_by_name("__vectors_start__")
            vectors = firmware.bin.read_bytes()[place.entry.st_value - board.flash.origin :]
        stack_top = int.from_bytes(vectors[:4], "little")
        assert stack_top == board.ram.origin + board.ram.bytes
    assert "-O2" in firmware.flags


@pytest.mark.full
def test_the_pico_2_carries_the_block_its_boot_rom_looks_for(tmp_path: Path) -> None:
    """RP2350 datasheet, 5.9: in the first 4 KB, begun and ended by its markers; no other board."""
    begin, end = (word.to_bytes(4, "little") for word in (0xFFFFDED3, 0xAB123579))
    for name, carries in (("rpi_pico2", True), ("nucleo_u575zi", False)):
        board = load_board(name)
        made = build(with_board(PROJECT, board), board, _compiler("gcc"), tmp_path / name)
        head = made.bin.read_bytes()[:4096]
        assert (begin in head) is (end in head) is carries
        assert head.find(begin) % 4 == 0 or not carries


@pytest.mark.full
@pytest.mark.parametrize("core", CORES)
def test_every_core_builds(core: str, compiler: Compiler, tmp_path: Path) -> None:
    board = target_board(core)
    assert build(with_board(PROJECT, board), board, compiler, tmp_path).flash_bytes > 0


def test_the_image_is_what_objcopy_makes(tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-objcopy") is None:
        pytest.skip("arm-none-eabi-objcopy is not installed")
    board = load_board("nucleo_f446re")
    text = ECHO.read_bytes() + b"uint32_t edgeq_probe = 0x11223344u;\n"
    text = text.replace(b"hal_init();", b"hal_init(); *(volatile uint32_t *)&edgeq_probe += 1u;")
    text = text.replace(b"int main", b"extern uint32_t edgeq_probe;\nint main")
    project = with_board(FirmwareProject({"main.c": text}), board)
    firmware = build(project, board, _compiler("gcc"), tmp_path)
    subprocess.run(
        [
            "arm-none-eabi-objcopy",
            "-O",
            "binary",
            "--gap-fill",
            "0xff",
            firmware.elf,
            tmp_path / "expected",
        ],
        check=True,
        timeout=HANG_S,
    )
    assert firmware.bin.read_bytes() == (tmp_path / "expected").read_bytes()
    assert firmware.sections[".data"] >= 4
    with pytest.raises(Toolchain, match="does not start"):
        flash_image(firmware.elf, board.flash.model_copy(update={"origin": 0}))


def test_two_folders_give_the_same_elf(
    compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*compiler_cache.OFF)  # both are compiled
    board = load_board("virtual_m4")
    project = with_board(PROJECT, board)
    first = build(project, board, compiler, tmp_path / "one")
    second = build(project, board, compiler, tmp_path / "another" / "place")
    assert first.elf.read_bytes() == second.elf.read_bytes()
    assert first.digest == second.digest == firmware_digest(project)
    assert str(tmp_path).encode() not in first.elf.read_bytes()


def test_with_board_is_idempotent_and_leaves_no_other_board_behind() -> None:
    f446, virtual = load_board("nucleo_f446re"), load_board("virtual_m4")
    once = with_board(PROJECT, virtual)
    assert with_board(once, virtual) == once
    assert with_board(with_board(PROJECT, f446), virtual) == once
    header = once.files["firmware_id.h"].decode()
    assert f'"{firmware_digest(once)}"' in header
    assert '"virtual_m4"' in header
    assert with_board(PROJECT, f446).files["firmware_id.h"] != once.files["firmware_id.h"]


def test_what_does_not_fit_is_refused_with_the_numbers(compiler: Compiler, tmp_path: Path) -> None:
    board = load_board("nucleo_f401re")
    big = (
        b'__attribute__((section(".edgeq_weights"))) const uint8_t huge_weights[600000] = {1};\n'
        b"uint8_t huge_arena[100000];\n"
    )
    text = ECHO.read_bytes().replace(b"int main", big + b"int main")
    text = text.replace(b"hal_idle();", b"huge_arena[hal_cycles() % 9u] = huge_weights[9];")
    text = text.replace(b"huge_weights[9]", b"huge_weights[hal_cycles() % 600000u]")
    project = with_board(FirmwareProject({"main.c": text}), board)
    with pytest.raises(MemoryBudget) as caught:
        build(project, board, compiler, tmp_path)
    message = str(caught.value)
    assert "flash of nucleo_f401re has 524,288 B" in message
    assert "huge_weights (600,000 B)" in message
    assert "ram of nucleo_f401re has 98,304 B" in message
    assert "huge_arena (100,000 B)" in message
    assert not (tmp_path / "firmware.elf").exists()
    assert not (tmp_path / "firmware.bin").exists()


def test_a_stack_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    board = load_board("nucleo_f401re")
    text = ECHO.read_bytes().replace(b"int main", b"uint8_t arena[94000];\nint main")
    text = text.replace(b"hal_idle();", b"arena[hal_cycles() & 9u] = 1u;")
    project = with_board(FirmwareProject({"main.c": text}), board)
    with pytest.raises(MemoryBudget, match="8,192 B of it stack"):
        build(project, board, _compiler("gcc"), tmp_path)


def test_the_gap_before_read_only_data_counts_in_flash(tmp_path: Path) -> None:
    """Behind a flash cache .rodata begins a page: what is stored fits, what it spans must, too."""
    board = load_board("nucleo_l4r5zi")
    text = b"static const uint8_t seed[8] = {1};\nint main"
    text = ECHO.read_bytes().replace(b"int main", text)
    text = text.replace(b"hal_idle();", b"hal_putc(seed[hal_cycles() & 7u]);")
    main = FirmwareProject({"main.c": text})

    def of(flash_bytes: int, folder: str) -> Firmware:
        flash = board.flash.model_copy(update={"bytes": flash_bytes})
        small = board.model_copy(update={"flash": flash})
        return build(with_board(main, small), small, _compiler("gcc"), tmp_path / folder)

    sizes = measure(of(board.flash.bytes, "all").elf)
    gap = sizes.extent_bytes - sizes.flash_bytes
    assert gap > 1000
    assert of(sizes.extent_bytes, "just").flash_bytes == sizes.flash_bytes
    needs = rf"needs {sizes.extent_bytes:,} B \(4 B too many, {gap:,} B of it gaps"
    with pytest.raises(MemoryBudget, match=needs):
        of(sizes.extent_bytes - 4, "short")


def test_weights_stand_in_a_section_of_their_own(tmp_path: Path) -> None:
    board = load_board("virtual_m4")
    table = b'__attribute__((section(".edgeq_weights"))) const uint8_t weights[64] = {1};\n'
    text = ECHO.read_bytes().replace(b"int main", table + b"int main")
    text = text.replace(b"hal_idle();", b"hal_putc(weights[hal_cycles() & 63u]);")
    project = with_board(FirmwareProject({"main.c": text}), board)
    firmware = build(project, board, _compiler("gcc"), tmp_path)
    assert firmware.sections[".edgeq_weights"] == 64


@pytest.mark.parametrize("bad", [b"int x = ;", b"int unused(int a) { return 0; }"])
def test_a_warning_or_an_error_ends_the_build(
    bad: bytes, compiler: Compiler, tmp_path: Path
) -> None:
    board = load_board("virtual_m4")
    project = with_board(PROJECT.with_files({"model/model.c": bad}), board)
    with pytest.raises(Toolchain, match=r"refused 1 of \d+ files.*\n?model/model\.c"):
        build(project, board, compiler, tmp_path)
    assert not (tmp_path / "firmware.elf").exists()


def test_an_undefined_function_is_a_link_error(compiler: Compiler, tmp_path: Path) -> None:
    board = load_board("virtual_m4")
    text = b"void absent(void);\nint main(void) {\n    absent();\n    return 0;\n}\n"
    with pytest.raises(Toolchain, match=r"could not link(.|\n)*absent"):
        build(with_board(FirmwareProject({"main.c": text}), board), board, compiler, tmp_path)


def test_a_project_without_its_board_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no linker\.ld"):
        build(PROJECT, load_board("virtual_m4"), _compiler("zig"), tmp_path)


def test_unknown_flags_are_refused(compiler: Compiler) -> None:
    with pytest.raises(BadInput, match="-O2"):
        compiler.compile_flags(load_board("virtual_m4"), "-Ofast")
    with pytest.raises(BadInput, match="auto, gcc, zig"):
        find_compiler("armcc")  # type: ignore[arg-type]


def test_no_compiler_at_all_names_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler_module.shutil, "which", lambda _name: None)
    monkeypatch.setattr(compiler_module.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(Toolchain, match=r"pip install 'edgeq\[zig\]'") as caught:
        find_compiler()
    assert caught.value.exit_code == 7


def test_auto_falls_back_to_zig(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _compiler("zig")
    monkeypatch.setattr(compiler_module.shutil, "which", lambda _name: None)
    assert find_compiler() == expected


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment as a service has it."""
    for name in ("HOME", "XDG_CACHE_HOME", "ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("of_record", [True, False], ids=["in the list of users", "nowhere"])
def test_case_27_zig_without_home_builds(
    of_record: bool, homeless: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = _compiler("zig")
    if not of_record:  # a container that runs as a number
        homeless.setattr(compiler_module, "_home_of_record", lambda: None)
    source, scratch = tmp_path / "one.c", tmp_path / "scratch"
    source.write_text("int one(int x);\nint one(int x) { return x + 1; }\n")
    command = [*compiler.command, "-target", "thumb-freestanding-eabi", "-c", source,
               "-o", tmp_path / "one.o"]  # fmt: skip
    env = compiler_module.environment(scratch)
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=HANG_S)
    assert run.returncode == 0, run.stderr
    assert scratch.exists() == (not of_record)


@pytest.mark.parametrize(
    ("name", "value", "finds"),
    [
        ("HOME", "", False),
        ("HOME", "relative", False),
        ("HOME", "{here}/absent", False),
        ("HOME", "{here}", True),
        ("XDG_CACHE_HOME", "relative", False),
        ("XDG_CACHE_HOME", "{here}/made/by/zig", True),
        ("ZIG_GLOBAL_CACHE_DIR", "{here}/own", True),
    ],
)
def test_case_27_a_cache_folder_that_zig_finds_is_left_alone(
    name: str, value: str, finds: bool, homeless: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = value.format(here=tmp_path)
    homeless.setenv(name, given)
    folder = compiler_module.environment(tmp_path).get("ZIG_GLOBAL_CACHE_DIR")
    assert (folder == (given if name == "ZIG_GLOBAL_CACHE_DIR" else None)) == finds
    assert finds or Path(str(folder)).is_absolute()


def test_measure_refuses_what_is_no_elf(tmp_path: Path) -> None:
    (tmp_path / "x.elf").write_bytes(b"not an elf")
    with pytest.raises(Toolchain, match="not a firmware ELF"):
        measure(tmp_path / "x.elf")


@pytest.mark.full
def test_case_27_the_makefile_gives_zig_a_cache_where_there_is_no_home(
    homeless: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    zig = _compiler("zig")
    with_board(PROJECT, load_board("virtual_m4")).write(tmp_path / "out")
    command = ["make", "ZIG=1", f"CC={' '.join(zig.command)}"]
    run = subprocess.run(
        command, cwd=tmp_path / "out", capture_output=True, text=True, timeout=HANG_S
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "out" / "build" / "zig-cache").is_dir()


@pytest.mark.parametrize("arguments", [[], ["host"]], ids=["gcc", "host"])
def test_the_makefile_builds_outside_edgeq(arguments: list[str], tmp_path: Path) -> None:
    for tool in ("make", "cc", "arm-none-eabi-gcc"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    board = load_board("nucleo_l4r5zi")
    model = {"model/model.c": b"int edgeq_probe(void);\nint edgeq_probe(void) { return 1; }\n"}
    with_board(PROJECT.with_files(model), board).write(tmp_path / "out")
    run = subprocess.run(
        ["make", *arguments], cwd=tmp_path / "out", capture_output=True, text=True, timeout=HANG_S
    )
    assert run.returncode == 0, run.stderr
    product = "libedgeq_host.a" if arguments else "firmware.elf"
    assert (tmp_path / "out" / "build" / product).stat().st_size > 0


@pytest.mark.full
def test_cmake_builds_outside_edgeq(tmp_path: Path) -> None:
    if shutil.which("cmake") is None or shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("cmake or arm-none-eabi-gcc is not installed")
    with_board(PROJECT, load_board("virtual_m4")).write(tmp_path / "out")
    cross = [
        "-DCMAKE_SYSTEM_NAME=Generic",
        "-DCMAKE_C_COMPILER=arm-none-eabi-gcc",
        "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY",
    ]
    for command in (["cmake", "-B", "build", *cross], ["cmake", "--build", "build"]):
        run = subprocess.run(
            command, cwd=tmp_path / "out", capture_output=True, text=True, timeout=HANG_S
        )
        assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "out" / "build" / "firmware.elf").is_file()
