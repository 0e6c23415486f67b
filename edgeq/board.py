"""Boards: reads and checks `boards/<board>.toml`, the only place with board facts."""

import difflib
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from edgeq.cores import CORES, Core, Facts
from edgeq.errors import BadInput
from edgeq.resources import boards_dir
from edgeq.strict import first_problem
from edgeq.toml_file import read_toml

MARKERS = ("levels", "pulses")
ADDRESSES = 1 << 32  # of every core that edgeq knows
ROOM_BYTES = 256 << 20  # of a bare core, flash and RAM each: more than any model takes
MEASURED_OVER_DATASHEET = 2  # at most, about: boards/README.md, "Energy"

EnergyKind = Literal["measured", "datasheet"]


class FlashCache(Facts):
    """What stands between the core and a flash with wait states, for the virtual board's clock.

    `ways` 0: fully associative. `sequential_miss_cycles`: a miss on the line after the last one.
    """

    instruction_bytes: int = Field(ge=0)
    data_bytes: int = Field(ge=0)
    unified: bool = False  # one cache for both; data_bytes is then 0
    line_bytes: int = Field(gt=0)
    ways: int = Field(ge=0)
    miss_cycles: int = Field(ge=0)
    sequential_miss_cycles: int = Field(ge=0)
    source: str

    @model_validator(mode="after")
    def _holds_whole_sets(self) -> "FlashCache":
        if self.line_bytes & (self.line_bytes - 1):
            raise ValueError("line_bytes must be a power of two")
        if self.unified and self.data_bytes:
            raise ValueError("a unified cache has no data_bytes of its own")
        for size in (self.instruction_bytes, self.data_bytes):
            if size % (self.line_bytes * max(1, self.ways)):
                raise ValueError("cache sizes must be whole sets: line_bytes x ways")
        return self


class Region(Facts):
    """A memory region; `wait_states` at the board's clock.

    `data_origin`: where loads see the same bytes, on a part that only fetches code at `origin`.
    """

    origin: int = Field(ge=0)
    bytes: int = Field(gt=0)
    wait_states: int = Field(ge=0)
    cache: FlashCache | None = None
    data_origin: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _is_addressable(self) -> "Region":
        for origin in (self.origin, self.data_origin or 0):
            if origin + self.bytes > ADDRESSES:
                raise ValueError(f"{self.bytes} bytes at {origin:#x} end past 32 bits")
        if self.data_origin is not None and abs(self.data_origin - self.origin) < self.bytes:
            raise ValueError(f"data_origin {self.data_origin:#x} lies within the region's bytes")
        return self

    def stored_at(self, address: int) -> int:
        """The address at `origin` of the byte that loads see at `address`."""
        if self.data_origin is None or not 0 <= address - self.data_origin < self.bytes:
            return address
        return address - self.data_origin + self.origin


class Memory(Facts):
    """A further memory region, which the linker script leaves alone."""

    name: str
    origin: int = Field(ge=0)
    bytes: int = Field(gt=0)
    writable: bool

    @model_validator(mode="after")
    def _is_addressable(self) -> "Memory":
        if self.origin + self.bytes > ADDRESSES:
            raise ValueError(f"{self.bytes} bytes at {self.origin:#x} end past 32 bits")
        return self


class Uart(Facts):
    """The serial port that a host reaches."""

    name: str
    baud: int = Field(gt=0)
    pins: str


class Marker(Facts):
    """The pin a current meter watches."""

    pin: str


class Probe(Facts):
    """How the board is found on USB and flashed; `flashers` in the order to try them."""

    flashers: tuple[str, ...] = Field(min_length=1, strict=False)
    usb_ids: tuple[str, ...] = Field(default=(), strict=False)  # "vvvv:pppp", lower-case hex
    volumes: tuple[str, ...] = Field(default=(), strict=False)
    pyocd_target: str | None = None
    pyocd_pack: str | None = None
    openocd_config: str | None = None  # several files are separated by spaces
    uf2_family: int | None = None
    esptool_chip: str | None = None
    teensy_mcu: str | None = None
    qemu_machine: str | None = None


class Energy(Facts):
    """First-order energy model: cycles x nj_per_cycle + idle_w x idle time. Always "modelled".

    `kind` tells a current that was measured from one that the part's vendor states; the latter's
    band must reach the twofold, as measured currents do.
    """

    kind: EnergyKind = "measured"
    volts: float = Field(gt=0)  # the supply the figures hold at
    nj_per_cycle: float = Field(gt=0)
    nj_per_cycle_low: float = Field(gt=0)
    nj_per_cycle_high: float = Field(gt=0)
    idle_w: float | None = Field(default=None, ge=0)
    source: str

    def mean_w(self, joules: float, busy_s: float, hop_s: float) -> float:
        """Watts of a core that is busy with each hop for that long, at that energy, and idles until
        the next, which is 0 where no idle power is known. One that takes longer never idles.
        """
        idle = (self.idle_w or 0.0) * max(0.0, hop_s - busy_s)
        return (joules + idle) / max(hop_s, busy_s)

    @model_validator(mode="after")
    def _band_holds_the_value(self) -> "Energy":
        if not self.nj_per_cycle_low <= self.nj_per_cycle <= self.nj_per_cycle_high:
            raise ValueError("nj_per_cycle must lie between nj_per_cycle_low and _high")
        least = MEASURED_OVER_DATASHEET * self.nj_per_cycle
        if self.kind == "datasheet" and self.nj_per_cycle_high < least:
            raise ValueError(
                f"a datasheet's current needs a nj_per_cycle_high of {least:g} or more"
            )
        return self


class Port(Facts):
    """Which firmware_templates/port/<family> drives it; `config` becomes board_config.h.

    `second_stage_bytes`: what a boot ROM runs before the vector table, at the start of flash.
    """

    family: str
    stack_bytes: int = Field(gt=0, multiple_of=8)
    second_stage_bytes: int = Field(default=0, ge=0, multiple_of=256)
    config: dict[str, int] = Field(default_factory=dict)


class Microphone(Facts):
    """Where a microphone is wired to, and what the family's capture driver asks for.

    `config` becomes EDGEQ_CAPTURE_... of board_config.h in a firmware that captures.
    """

    kind: Literal["analog", "pdm"]
    pins: str
    config: dict[str, int]


class Board(Facts):
    """One board. `evidence` is the best its port has seen: no board here has run on silicon."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    vendor: str
    aliases: tuple[str, ...] = Field(default=(), strict=False)
    description: str
    core: str
    fpu: bool
    dsp: bool
    clock_hz: int = Field(gt=0)
    supply_volts: float = Field(gt=0)
    first_load_extra: int = Field(ge=0)
    evidence: Literal["silicon", "emulator", "compiled"]
    flash: Region
    ram: Region
    memories: tuple[Memory, ...] = Field(default=(), strict=False)
    uart: Uart
    marker: Marker
    probe: Probe
    port: Port
    microphone: Microphone | None = None
    energy: Energy | None = None
    sources: dict[str, str] = Field(min_length=1)

    @model_validator(mode="after")
    def _core_can_do_what_the_board_says(self) -> "Board":
        if self.core not in CORES:
            raise ValueError(f"core {self.core!r} is not one of {', '.join(CORES)}")
        core = CORES[self.core]
        if (self.fpu and core.fpu is None) or (self.dsp and not core.dsp):
            raise ValueError(f"{self.core} has no such FPU or DSP extension")
        return self

    def marked_by(self, marker: str) -> "Board":
        """The board with its firmware's marker pin told to show "levels" or "pulses".

        Levels: high while an inference runs. Pulses: a fall before and after, as MLPerf Tiny's
        energy mode wants it, and as meters need that see falling edges only.
        """
        if marker not in MARKERS:
            raise BadInput(f"--marker {marker} is not one of {', '.join(MARKERS)}")
        if marker == "levels":
            return self
        config = {**self.port.config, "ENERGY_MODE": 1}  # runtime/sample.c, runtime/mlperf.c
        return self.model_copy(update={"port": self.port.model_copy(update={"config": config})})

    def at_baud(self, baud: int | None) -> "Board":
        """The board with its serial port at another speed; None leaves it as its file says."""
        if baud is None:
            return self
        if not 1200 <= baud <= 4_000_000:
            raise BadInput(f"--baud {baud}: a serial port takes 1200 to 4000000")
        config = dict(self.port.config)
        if "UART_BAUDDIV" in config:  # of the CMSDK UART, which counts core cycles
            config["UART_BAUDDIV"] = round(self.clock_hz / baud)
        return self.model_copy(
            update={
                "uart": self.uart.model_copy(update={"baud": baud}),
                "port": self.port.model_copy(update={"config": config}),
            }
        )

    @property
    def features(self) -> frozenset[str]:
        """What kernels may ask of the core: "dsp", "mve", or "v6m" for those of ARMv6-M."""
        core = CORES[self.core]
        has = {"dsp": self.dsp, "mve": core.mve, "v6m": not core.thumb2}
        return frozenset(name for name, there in has.items() if there)


def _read_board(path: Path) -> Board:
    try:
        board = Board.model_validate(read_toml(path, "board file"))
    except ValidationError as error:
        raise BadInput(f"board file {path.name} is not usable: {first_problem(error)}") from None
    if board.name != path.stem:
        raise BadInput(f"board file {path.name} names itself {board.name!r}; both must agree")
    return board


@lru_cache(maxsize=8)
def _read_folder(folder: Path) -> tuple[Board, ...]:
    return tuple(_read_board(path) for path in sorted(folder.glob("*.toml")))


def all_boards(folder: Path | None = None) -> tuple[Board, ...]:
    """Every board, by name. `folder` defaults to edgeq's own boards; BadInput on a bad file."""
    return _read_folder(folder or boards_dir())


def _key(name: str) -> str:
    return name.strip().lower().replace("-", "_")


def _exact(name: str) -> Board | None:
    for board in all_boards():
        if _key(name) in {_key(known) for known in (board.name, *board.aliases)}:
            return board
    return None


def find_boards(query: str) -> tuple[Board, ...]:
    """Boards that `query` could mean: the one of that name or alias, else all that contain it."""
    exact = _exact(query)
    if exact is not None:
        return (exact,)
    wanted = _key(query)
    if not wanted:
        return ()
    return tuple(
        board
        for board in all_boards()
        if any(wanted in _key(known) for known in (board.name, *board.aliases))
    )


def load_board(name: str) -> Board:
    """The board called `name` (name or alias, case and dashes ignored); BadInput if unknown."""
    board = _exact(name)
    if board is None:
        raise BadInput(_unknown("board", name, [board.name for board in all_boards()]))
    return board


def _unknown(kind: str, given: str, known: list[str]) -> str:
    matches = find_boards(given)
    if len(matches) > 1:
        return f"{given!r} could mean {', '.join(board.name for board in matches)}; name one"
    names = [*known, *(alias for board in all_boards() for alias in board.aliases)]
    close = difflib.get_close_matches(_key(given), names, n=1, cutoff=0.5)
    if not close:
        close = [board.name for board in matches]
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"unknown {kind} {given!r}{hint} There are: {', '.join(known)}"


def core_of(target: str) -> Core:
    """The core that `target`, a core or a board, compiles for; BadInput if it is neither."""
    return CORES[target_board(target).core]


def target_board(target: str) -> Board:
    """`target` as a board to build for. A bare core takes a virtual board's addresses and port.

    It has room for any model: of a core, sizes are only reported. Its board carries the core's
    name and no energy figures; BadInput if unknown.
    """
    core = CORES.get(target.strip().lower().replace("_", "-"))
    board = _exact(target)
    if core is None and board is None:
        names = [*CORES, *(board.name for board in all_boards())]
        raise BadInput(_unknown("target", target, names))
    if core is None:
        assert board is not None
        return board
    host = virtual_board(core)
    return host.model_copy(
        update={
            "name": core.name,
            "aliases": (),
            "description": f"any {core.name}: sizes only, port of {host.name}",
            "core": core.name,
            "fpu": core.fpu is not None,
            "dsp": core.dsp,
            "evidence": "compiled",
            "energy": None,
            "flash": host.flash.model_copy(update={"bytes": ROOM_BYTES}),
            "ram": host.ram.model_copy(update={"bytes": ROOM_BYTES}),
        }
    )


def virtual_board(core: Core) -> Board:
    """The emulated board that lends a bare core its memory, port and clock."""
    if core.isa == "riscv":
        return load_board("virtual_rv32imc")
    if core.mve:  # which the emulator of the others does not have
        return load_board("qemu_mps3_an547")
    return load_board("virtual_m4" if core.thumb2 else "virtual_m0plus")


def runnable_board(target: str) -> Board:
    """The board `target`, or the virtual board of a bare core; BadInput if it is neither."""
    return virtual_board(core_of(target)) if is_core(target) else target_board(target)


def is_core(target: str) -> bool:
    """True if `target` is a bare core: sizes are reported, the fit is not enforced."""
    return target.strip().lower().replace("_", "-") in CORES
