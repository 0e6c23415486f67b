"""Ctrl-C where it must not strike in the middle: raised a moment later instead."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType


def _nothing() -> None:
    pass


@contextmanager
def interrupt_waits(stop: Callable[[], None] = _nothing) -> Iterator[None]:
    """Within the block Ctrl-C only calls `stop`; KeyboardInterrupt is raised at its end.

    For a callback that a C library calls, where it would be printed and forgotten, and for a
    process that is being started, which nobody would hold yet. Other handlers, and other threads
    than the main one, are left as they are.
    """
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    arrived = False

    def note(_number: int, _frame: FrameType | None) -> None:
        nonlocal arrived
        arrived = True
        stop()

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if arrived:
            raise KeyboardInterrupt


@contextmanager
def signals_call(
    stop: Callable[[], None], numbers: Sequence[signal.Signals], waker: int
) -> Iterator[None]:
    """Within the block these signals call `stop`; what they did before is theirs again after it.

    A signal writes a byte to the descriptor `waker`, too (nonblocking): one that comes just before
    the system call of a wait does not interrupt it, and `stop` would not be called before its end.
    """
    before = {number: signal.getsignal(number) for number in numbers}
    woken = signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, lambda _number, _frame: stop())
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
