"""A serial line between a board and a fresh pty that can lose, flip, repeat and hold up bytes."""

import contextlib
import os
import random
import select
import threading
import tty

from tests.hang import HANG_S


class LossyLine:
    """Forwards bytes between `master` (the board's pty) and `self.path` in a thread."""

    def __init__(self, master: int, rate: float = 0.0, seed: int = 0, hold: float = 0.0) -> None:
        self.host_master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self.rate = rate
        self.hold = hold  # chance per chunk of a delay of up to 30 ms
        self.cut = False  # bytes vanish, both ends stay up
        self.damage = 0  # bytes hurt so far
        self._random = random.Random(seed)
        self._board = master
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._forward, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Pulls the cable: the host's port vanishes. Once: the numbers are the next pty's."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join(HANG_S)
        for fd in (self.host_master, self._slave):
            with contextlib.suppress(OSError):
                os.close(fd)

    def _forward(self) -> None:
        other = {self._board: self.host_master, self.host_master: self._board}
        with contextlib.suppress(OSError):
            while not self._stop.is_set():
                for fd in select.select(list(other), [], [], 0.05)[0]:
                    data = self._hurt(os.read(fd, 4096))
                    if self._random.random() < self.hold:
                        self._stop.wait(self._random.random() * 0.03)
                    while data:
                        data = data[os.write(other[fd], data) :]

    def _hurt(self, data: bytes) -> bytes:
        if self.cut:
            return b""
        if not self.rate:
            return data
        hurt, count = damaged(data, self.rate, self._random)
        self.damage += count
        return hurt


def damaged(data: bytes, rate: float, rng: random.Random) -> tuple[bytes, int]:
    """The data with a share `rate` of its bytes lost, flipped in a bit or doubled; how many."""
    out, count = bytearray(), 0
    for byte in data:
        if rng.random() >= rate:
            out.append(byte)
            continue
        count += 1
        kind = rng.randrange(3)
        if kind == 1:
            out.append(byte ^ (1 << rng.randrange(8)))
        elif kind == 2:
            out += bytes((byte, byte))
    return bytes(out), count
