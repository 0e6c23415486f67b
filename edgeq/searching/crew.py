"""The workers of this computer: handed tickets, watched, replaced when one is killed."""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from edgeq.searching.worker import Ended, Lost, Order, work

LOOK_S = 0.5  # between two looks at who lives
PATIENCE_S = 10.0  # for a worker that was asked to end


@dataclass
class Hand:
    """A worker process with its pipe; `busy` while it holds a ticket."""

    process: SpawnProcess
    pipe: Connection
    busy: bool = False


@dataclass(frozen=True)
class Died:
    """A worker that ended with a ticket in its hand: killed, or crashed."""

    pid: int
    code: int | None


Event = Ended | Lost | Died


class Crew:
    """`size` workers. Use as a context manager: none outlives it."""

    def __init__(self, order: Order, size: int) -> None:
        self._order = order
        self._started = 0
        self.hands = [self._start() for _ in range(size)]

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for hand in self.hands:
            with contextlib.suppress(OSError):
                if hand.busy:
                    hand.process.terminate()
                else:
                    hand.pipe.send(None)
        for hand in self.hands:
            hand.process.join(PATIENCE_S)
            if hand.process.is_alive():
                hand.process.kill()
                hand.process.join()

    @property
    def busy(self) -> int:
        """Tickets that are out."""
        return sum(hand.busy for hand in self.hands)

    def hand_out(self, tickets: int) -> None:
        """A ticket for each idle worker, as far as they go."""
        for hand in self.hands:
            if tickets > 0 and not hand.busy:
                with contextlib.suppress(OSError):  # it is dead, and will be met as such
                    hand.pipe.send(True)
                hand.busy = True
                tickets -= 1

    def events(self, alive: Callable[[], None]) -> Iterator[Event]:
        """What happened since the last call, after LOOK_S at most; `alive` is called each time."""
        alive()
        for pipe in wait([hand.pipe for hand in self.hands], timeout=LOOK_S):
            at = next(i for i, hand in enumerate(self.hands) if hand.pipe is pipe)
            yield from self._heard(at)

    def _heard(self, at: int) -> Iterator[Event]:
        hand = self.hands[at]
        try:
            event: Event = hand.pipe.recv()
            hand.busy = False
            yield event
        except (EOFError, OSError):
            hand.process.join(PATIENCE_S)
            died = Died(hand.process.pid or 0, hand.process.exitcode)
            self.hands[at] = self._start()
            yield died

    def _start(self) -> Hand:
        # no daemon: a training may start processes of its own
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        order = replace(self._order, seed=self._order.seed + self._started)
        self._started += 1
        process = context.Process(target=work, args=(order, theirs))
        process.start()
        theirs.close()
        return Hand(process, ours)
