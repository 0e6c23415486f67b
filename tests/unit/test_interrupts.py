"""Ctrl-C is raised after what it must not break: an emulator's callback, a start of a process."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import closing

import pytest

from edgeq.interrupts import interrupt_waits, signals_call
from edgeq.sim.emulator import Emulator
from edgeq.sim.port import PtyPort
from edgeq.sim.tcp_port import TcpPort

FLASH = 0x10000
LOOP = b"\xfe\xe7"  # b .
LONG_US = 20_000_000  # a lost signal is a failure, not a hang


@pytest.fixture(autouse=True)
def ordinary() -> None:
    """No test before may leave a handler of its own behind."""
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def looping(on_block: object) -> Emulator:
    """A core that never ends by itself."""
    core = Emulator("cortex-m4", lambda _number: None)
    core.map_memory(FLASH, 0x1000, writable=True)
    core.write(FLASH, LOOP)
    core.on_block(on_block)  # type: ignore[arg-type]
    return core


def test_an_interrupt_in_a_callback_is_not_lost() -> None:
    seen = 0

    def block(_engine: int, _address: int, _size: int) -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        looping(block).run(FLASH, FLASH + 0x100, LONG_US)
    assert seen >= 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_handler_is_left_as_it_is() -> None:
    heard: list[int] = []

    def block(_engine: int, _address: int, _size: int) -> None:
        if not heard:
            signal.raise_signal(signal.SIGINT)
            core.stop()

    core = looping(block)
    before = signal.signal(signal.SIGINT, lambda number, _frame: heard.append(number))
    try:
        core.run(FLASH, FLASH + 0x100, LONG_US)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


def test_other_threads_leave_signals_alone() -> None:
    """Only the main thread may set a handler."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with interrupt_waits():
                pass
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failed == []


def test_the_block_is_finished_first() -> None:
    done: list[str] = []

    def work() -> None:
        with interrupt_waits(lambda: done.append("stop")):
            signal.raise_signal(signal.SIGINT)
            done.append("rest")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["stop", "rest"]


def test_signals_call_for_the_length_of_a_block() -> None:
    heard: list[str] = []
    before = signal.getsignal(signal.SIGTERM)  # another test may have run the command in here
    with (
        closing(PtyPort()) as port,
        signals_call(lambda: heard.append("stop"), (signal.SIGINT, signal.SIGTERM), port.waker),
    ):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert heard == ["stop", "stop"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("wire", [PtyPort, lambda: TcpPort("127.0.0.1:0")], ids=["pty", "tcp"])
def test_a_signal_just_before_a_sleep_ends_it(wire: Callable[[], PtyPort | TcpPort]) -> None:
    """The handler of such a signal waits for the end of the system call: the byte has to do."""
    unheard = signal.SIGUSR1
    with closing(wire()) as port, signals_call(lambda: None, (unheard,), port.waker):
        later = threading.Timer(0.2, lambda: os.kill(os.getpid(), unheard))
        later.start()
        assert not port.wait()  # the call of select is begun again after a handler
        later.join()
