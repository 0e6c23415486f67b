"""Loads from flash, seen where read-only data has pages of its own.

Unicorn's hook for reads is not usable (see emulator.py), but a page can be answered by a function.
Such a page cannot hold code, so a page that data shares with code stays plain memory: what is read
there is not seen, except constants loaded relative to the program counter (decode.py).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgeq.sim.clock import Clock
from edgeq.sim.elf import Image
from edgeq.sim.emulator import PAGE, Emulator


@dataclass(frozen=True)
class DataPages:
    """Pages of read-only data and nothing else, and how much of that data lies in them."""

    ranges: tuple[tuple[int, int], ...]  # (start, end)
    seen_bytes: int
    all_bytes: int


def data_pages(image: Image, origin: int, size: int) -> DataPages:
    """The pages of `image`, in flash from `origin` on, that hold read-only data and no code."""
    data = [
        part
        for part in image.sections
        if part.holds_data and not part.writable and not part.executable
        and origin <= part.address and part.end <= origin + size
    ]  # fmt: skip
    code = {page for part in image.sections if part.executable
            for page in _pages(part.address, part.end)}  # fmt: skip
    pages = {page for part in data for page in _pages(part.address, part.end)} - code
    pages = {page for page in pages if origin <= page and page + PAGE <= origin + size}
    seen = sum(
        max(0, min(part.end, page + PAGE) - max(part.address, page))
        for part in data
        for page in pages
    )
    return DataPages(tuple(_runs(sorted(pages))), seen, sum(part.size for part in data))


def _pages(start: int, end: int) -> range:
    return range(start & -PAGE, end, PAGE)


def _runs(pages: list[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring pages joined."""
    firsts = [page for page in pages if page - PAGE not in pages]
    lasts = [page for page in pages if page + PAGE not in pages]
    return ((first, last + PAGE) for first, last in zip(firsts, lasts, strict=True))


class FlashReads:
    """Puts itself between the guest and its read-only data. `refuse(reason)` ends the run."""

    def __init__(
        self,
        emulator: Emulator,
        clock: Clock,
        refuse: Callable[[str], None],
    ) -> None:
        self._emulator, self._clock, self._refuse = emulator, clock, refuse
        self._followers: list[Callable[[], None]] = []
        self.pages = DataPages((), 0, 0)

    def watch(self, pages: DataPages) -> None:
        """Answer the loads from `pages` from now on."""
        self.pages = pages
        for start, end in pages.ranges:
            data = bytearray(self._emulator.read(start, end - start))
            self._emulator.answer_reads(
                start, data, self._reader(start, data), self._refuser(start)
            )

    def release(self) -> None:
        """Give the pages back as plain memory."""
        self._emulator.stop_answering()
        self._followers = []
        self.pages = DataPages((), 0, 0)

    def follow(self) -> None:
        """The clock has another flash model now."""
        for follower in self._followers:
            follower()

    def _reader(self, start: int, data: bytearray) -> Callable[[int, int, int], int]:
        clock, words = self._clock, memoryview(data).cast("I")
        newest: list[int]
        first = count = shift = 0

        def follow() -> None:
            nonlocal newest, first, count, shift
            flash = clock.flash
            if flash is None:  # all of it one line that was just used
                newest, first, count, shift = [0], 0, 1, len(data).bit_length()
                return
            newest, shift = flash.data.newest, flash.geometry.line_bytes.bit_length() - 1
            first, count = start >> shift, len(newest)

        def read(_engine: int, offset: int, size: int) -> int:  # a microsecond matters here
            try:
                line = first + (offset >> shift)
                if newest[line % count] != line:
                    clock.use_line(line)
            except BaseException as error:  # C would swallow it
                clock.on_error(error)
            if size == 4 and not offset & 3:
                return words[offset >> 2]
            return int.from_bytes(data[offset : offset + size], "little")

        follow()
        self._followers.append(follow)
        return read

    def _refuser(self, start: int) -> Callable[[int], None]:
        return lambda offset: self._refuse(f"write to read-only memory 0x{start + offset:08x}")
