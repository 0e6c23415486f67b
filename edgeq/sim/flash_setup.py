"""How a firmware has set its flash up, and what a board's caches cost under that."""

from dataclasses import dataclass, replace

from edgeq.sim.clock import Clock
from edgeq.sim.config import MachineConfig
from edgeq.sim.flash_cache import CacheGeometry, FlashModel
from edgeq.sim.flash_reads import FlashReads


@dataclass(frozen=True)
class FlashSetup:
    """Wait states and what stands before them.

    `fetch_bytes`: what one access of this flash brings; a core without instruction cache keeps
    that much.
    """

    wait_states: int
    instruction_cache: bool
    data_cache: bool
    prefetch: bool
    fetch_bytes: int

    def under(self, board: CacheGeometry, board_wait_states: int) -> CacheGeometry | None:
        """`board`'s caches, whose costs hold at its own wait states, as this set-up leaves them.

        None without wait states. Between the two a miss is interpolated; without prefetch, and
        without the cache, it costs the wait states.
        """
        states = self.wait_states
        if not states:
            return None
        miss, next_miss = (
            round(cycles * states / board_wait_states)
            for cycles in (board.miss_cycles, board.sequential_miss_cycles)
        )
        if not self.prefetch:
            miss = next_miss = states
        return replace(
            board,
            instruction_bytes=board.instruction_bytes if self.instruction_cache else 0,
            data_bytes=board.data_bytes if self.data_cache else 0,
            miss_cycles=miss,
            sequential_miss_cycles=next_miss,
            fetch_bytes=0 if self.instruction_cache else self.fetch_bytes,
        )

    def text(self) -> str:
        """For reports."""
        parts = ((self.instruction_cache, "instruction cache"), (self.data_cache, "data cache"),
                 (self.prefetch, "prefetch"))  # fmt: skip
        on = ", ".join(name for is_on, name in parts if is_on) or "no cache"
        return f"{self.wait_states} wait states, {on}"


class FlashTiming:
    """The flash model in force: the board file's until a firmware starts at reset.

    A called function finds the flash as the board's own port leaves it, or as the firmware that ran
    before did.
    """

    def __init__(self, config: MachineConfig) -> None:
        self._config = config
        self._setup: FlashSetup | None = None  # None: the board file's
        self._models: dict[CacheGeometry, FlashModel] = {}
        self._clock: Clock | None = None
        self._reads: FlashReads | None = None
        self.board_model = self._model(config.flash_cache)

    def attach(self, clock: Clock, reads: FlashReads) -> None:
        """What counts by the model."""
        self._clock, self._reads = clock, reads

    def set_up(self, setup: FlashSetup | None) -> None:
        """The firmware, or a reset, has set the flash up so; None: as the board file has it."""
        board = self._config.flash_cache
        if board is None or self._clock is None or self._config.flash_from == "board":
            return
        before, self._setup = self._setup, setup
        if setup != before:
            states = self._config.flash_wait_states
            self._use(self._model(board if setup is None else setup.under(board, states)))

    def _use(self, model: FlashModel | None) -> None:
        if self._clock is None or model is self._clock.flash:
            return
        self._clock.use_flash(model)
        if self._reads is not None:
            self._reads.follow()

    def _model(self, geometry: CacheGeometry | None) -> FlashModel | None:
        if geometry is None:
            return None
        if geometry not in self._models:
            config = self._config
            self._models[geometry] = FlashModel(geometry, config.flash_origin, config.flash_bytes)
        return self._models[geometry]

    @property
    def text(self) -> str:
        """What of the flash's wait states the clock counts."""
        if self._reads is None:
            return "none: zero wait states"
        set_up = f"; as the firmware set it up: {self._setup.text()}" if self._setup else ""
        pages = self._reads.pages
        if not pages.seen_bytes:
            return f"instruction cache only: read-only data has no pages of its own{set_up}"
        seen = f"{pages.seen_bytes} of {pages.all_bytes} bytes seen"
        return f"instruction and data caches: {seen}{set_up}"
