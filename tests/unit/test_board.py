"""Board files: every fact parses, the clock sums agree, and wrong names get a helpful answer."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from edgeq.board import (
    CORES,
    Board,
    Energy,
    all_boards,
    core_of,
    find_boards,
    is_core,
    load_board,
    target_board,
)
from edgeq.errors import BadInput
from edgeq.resources import boards_dir, templates_dir
from edgeq.toolchain.assemble import SHARED_PORT, port_files

BOARDS = [pytest.param(board, id=board.name) for board in all_boards()]
EXPECTED = {
    "netduinoplus2",
    "nrf52840dk",
    "nucleo_f401re",
    "nucleo_f446re",
    "nucleo_l4r5zi",
    "qemu_mps2_an386",
    "rpi_pico",
    "virtual_m0plus",
    "virtual_m4",
}
REAL = tuple(board.name for board in all_boards() if board.energy and board.probe.usb_ids)

# RX_WINDOW_FRAMES: read by runtime/requests.h; TIMER_BASE: for a core without DWT
OPTIONAL = {"RX_WINDOW_FRAMES", "TIMER_BASE"}


def test_the_boards_of_the_first_release_exist() -> None:
    assert {board.name for board in all_boards()} >= EXPECTED


@pytest.mark.parametrize("board", BOARDS)
def test_names_and_aliases_are_unambiguous(board: Board) -> None:
    for name in (board.name, *board.aliases, board.name.upper(), board.name.replace("_", "-")):
        assert load_board(name) is board
        assert find_boards(name) == (board,)


@pytest.mark.parametrize("board", BOARDS)
def test_port_exists_and_stack_leaves_room(board: Board) -> None:
    assert (templates_dir() / "port" / board.port.family / "port.c").is_file()
    assert board.port.stack_bytes <= board.ram.bytes // 4
    assert board.evidence != "silicon", "no board has run on silicon"


@pytest.mark.parametrize("board", BOARDS)
def test_port_asks_for_nothing_the_board_file_lacks(board: Board) -> None:
    family = f"port/{board.port.family}/"
    own = (family, f"port/{SHARED_PORT.get(board.port.family, 'none')}/")
    files = port_files(board).items()
    source = b"".join(data for name, data in files if name.startswith(own)).decode()
    asked = set(re.findall(r"\bEDGEQ_([A-Z0-9_]+(?<!_H))\b", source))  # no include guards
    assert asked - OPTIONAL <= {"CLOCK_HZ", "UART_BAUD", "FLASH_WAIT_STATES", *board.port.config}
    assert set(board.port.config) <= asked | {"RX_WINDOW_FRAMES"}, "a key that no code reads"


@pytest.mark.parametrize("board", [b for b in all_boards() if b.port.family == "stm32f4"])
def test_stm32f4_clock_tree_adds_up(board: Board) -> None:
    config = board.port.config
    vco_in = 16_000_000 // config["PLL_M"]
    assert 1_000_000 <= vco_in <= 2_000_000
    vco = vco_in * config["PLL_N"]
    assert 100_000_000 <= vco <= 432_000_000
    assert vco // config["PLL_P"] == board.clock_hz
    assert 2 <= config["PLL_Q"] <= 15
    assert vco // config["PLL_Q"] <= 48_000_000
    divide = {0: 1, 4: 2, 5: 4, 6: 8, 7: 16}
    on_apb2 = config["UART_ENABLE_REGISTER"] == 0x40023844
    prescaler = config["APB2_PRESCALER" if on_apb2 else "APB1_PRESCALER"]
    assert board.clock_hz // divide[prescaler] == config["UART_CLOCK_HZ"]
    most = 50_000_000 if "F41" in board.description else 45_000_000  # RM0383 and RM0390, 6.2
    assert board.clock_hz // divide[config["APB1_PRESCALER"]] <= most


@pytest.mark.parametrize("board", [b for b in all_boards() if b.port.family == "stm32_hsi"])
def test_stm32_on_its_own_oscillator_divides_to_the_baud(board: Board) -> None:
    """Within the 2 % that a UART bears, on the clock after reset too."""
    config = board.port.config
    assert board.clock_hz in (16_000_000, 64_000_000)
    for clock in (board.clock_hz, config["RESET_CLOCK_HZ"]):
        baud = clock / round(clock / board.uart.baud)
        assert abs(baud / board.uart.baud - 1) < 0.02
    assert config["SWITCH_TO_HSI"] < 1 << config["SWITCH_BITS"]
    assert config["SWITCHED_SHIFT"] == config["SWITCH_BITS"], "SWS stands above SW"


def test_rp2040_clock_tree_adds_up() -> None:
    """Limits: RP2040 datasheet, 2.18.2 (VCO 750 to 1600 MHz, FBDIV 16 to 320, dividers 1 to 7)."""
    board = load_board("rp2040")
    config = board.port.config
    reference = config["CRYSTAL_HZ"] // config["PLL_REFDIV"]
    assert reference >= 5_000_000
    assert config["CRYSTAL_HZ"] % 1_000_000 == board.clock_hz % 1_000_000 == 0, "the timer's tick"
    vco = reference * config["PLL_FBDIV"]
    assert 750_000_000 <= vco <= 1_600_000_000
    assert 16 <= config["PLL_FBDIV"] <= 320
    assert 1 <= config["PLL_POSTDIV2"] <= config["PLL_POSTDIV1"] <= 7
    assert vco // (config["PLL_POSTDIV1"] * config["PLL_POSTDIV2"]) == board.clock_hz
    assert board.clock_hz <= 133_000_000
    assert config["FLASH_CLOCK_DIVIDER"] % 2 == 0
    assert board.clock_hz // config["FLASH_CLOCK_DIVIDER"] <= 104_000_000


def test_stm32l4_clock_tree_adds_up() -> None:
    board = load_board("nucleo_l4r5zi")
    config = board.port.config
    assert 16_000_000 // config["PLL_M"] * config["PLL_N"] // config["PLL_R"] == board.clock_hz
    assert 256 * 16_000_000 + board.uart.baud // 2 < 2**32


@pytest.mark.parametrize("name", ["virtual_m0plus", "virtual_m4", "qemu_mps2_an386"])
def test_mps2_baud_divisor_is_the_clock_over_the_baud(name: str) -> None:
    board = load_board(name)
    assert board.port.config["UART_BAUDDIV"] == round(board.clock_hz / board.uart.baud)


def test_unknown_board_lists_what_exists_and_the_closest() -> None:
    with pytest.raises(BadInput, match=r"'virtul_m4'.*did you mean 'virtual_m4'.*nucleo_f446re"):
        load_board("virtul_m4")
    with pytest.raises(BadInput, match=f"There are: {all_boards()[0].name}"):
        load_board("")


def test_a_name_for_several_boards_lists_them() -> None:
    nucleos = [board.name for board in find_boards("nucleo")]
    assert nucleos == [board.name for board in all_boards() if board.name.startswith("nucleo")]
    with pytest.raises(BadInput, match=f"could mean {', '.join(nucleos)}"):
        load_board("nucleo")
    assert find_boards("zx81") == ()
    assert find_boards(" ") == ()


@pytest.mark.parametrize("core", CORES)
def test_a_core_is_a_target(core: str) -> None:
    board = target_board(core.upper())
    assert (board.core, board.name, is_core(core)) == (core, core, True)
    assert core_of(core) is CORES[core]
    assert board.energy is None
    assert board.dsp is CORES[core].dsp


def test_targets_are_cores_or_boards() -> None:
    assert core_of("virtual-m4").name == "cortex-m4"
    assert not is_core("virtual_m4")
    with pytest.raises(BadInput, match=r"unknown target 'cortex-m44'.*did you mean"):
        target_board("cortex-m44")


def _broken(tmp_path: Path, old: str, new: str) -> Path:
    text = (boards_dir() / "virtual_m4.toml").read_text()
    assert old in text
    (tmp_path / "virtual_m4.toml").write_text(text.replace(old, new, 1))
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("clock_hz = 100_000_000", "clock_hz = 0"),
        ("clock_hz = 100_000_000", 'clock_hz = "fast"'),
        ("dsp = true", "dsp = true\ndps = true"),
        ('core = "cortex-m4"', 'core = "cortex-m99"'),
        ('core = "cortex-m4"', 'core = "cortex-m3"'),
        ('evidence = "emulator"', 'evidence = "sure"'),
        ('name = "virtual_m4"', 'name = "other"'),
        ("nj_per_cycle_low = 0.28", "nj_per_cycle_low = 0.9"),
        ('kind = "measured"', 'kind = "guessed"'),
        ('kind = "measured"', 'kind = "datasheet"'),  # its band ends below the twofold
        ("stack_bytes = 16384", "stack_bytes = 16385"),
        ("[flash]", "[flash"),
    ],
)
def test_a_wrong_board_file_is_refused_by_name(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(BadInput, match=r"virtual_m4\.toml"):
        all_boards(_broken(tmp_path, old, new))


@pytest.mark.parametrize("name", REAL)
def test_energy_of_a_real_board_has_a_source_and_a_kind(name: str) -> None:
    board = load_board(name)
    energy = board.energy
    assert energy is not None
    assert energy.kind == ("measured" if name in {"nucleo_l4r5zi", "rpi_pico"} else "datasheet")
    assert len(energy.source) > 40


@pytest.mark.parametrize("name", [name for name in REAL if name != "nucleo_l4r5zi"])
def test_energy_is_the_current_of_its_source_times_volts_over_the_clock(name: str) -> None:
    board = load_board(name)
    energy = board.energy
    assert energy is not None
    said = re.match(r"([\d.]+) (mA|uA/MHz) x ([\d.]+) V", energy.source)
    assert said, "the source begins with the product"
    current, unit, volts = float(said[1]), said[2], float(said[3])
    per_cycle = current * volts / (board.clock_hz / 1e6 if unit == "mA" else 1000)
    assert energy.nj_per_cycle == pytest.approx(per_cycle, rel=0.01)
    assert energy.volts == volts


def test_a_datasheet_current_has_a_band_up_to_the_twofold() -> None:
    figures = {"volts": 3.0, "nj_per_cycle": 0.5, "nj_per_cycle_low": 0.5, "source": "a page"}
    assert Energy(**figures, nj_per_cycle_high=0.6).kind == "measured"
    assert Energy(**figures, nj_per_cycle_high=1.0, kind="datasheet").kind == "datasheet"
    with pytest.raises(ValidationError, match="needs a nj_per_cycle_high of 1 or more"):
        Energy(**figures, nj_per_cycle_high=0.99, kind="datasheet")


def test_boards_are_frozen() -> None:
    with pytest.raises(ValidationError):
        load_board("virtual_m4").clock_hz = 1  # type: ignore[misc]


def test_readme_explains_every_key() -> None:
    readme = (boards_dir() / "README.md").read_text()
    models = [Board, *(type(getattr(load_board("virtual_m4"), n)) for n in Board.model_fields)]
    for model in models:
        for key in getattr(model, "model_fields", {}):
            assert f"`{key}`" in readme, f"boards/README.md does not explain {key}"


def test_another_speed_of_the_serial_port() -> None:
    nucleo = load_board("nucleo_l4r5zi")
    assert nucleo.at_baud(None) == nucleo
    assert nucleo.at_baud(9600).uart.baud == 9600
    assert nucleo.at_baud(9600).port.config == nucleo.port.config
    virtual = load_board("virtual_m4")
    assert virtual.at_baud(115200).port.config == virtual.port.config  # as its file says
    assert virtual.at_baud(9600).port.config["UART_BAUDDIV"] == round(100e6 / 9600)
    for baud in (0, 300, 5_000_000):
        with pytest.raises(BadInput, match=f"--baud {baud}: a serial port takes 1200 to"):
            virtual.at_baud(baud)
