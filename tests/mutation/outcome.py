"""What became of a mutant, found out in a process of its own that cannot outlive its deadline."""

import faulthandler
import os
import resource
import signal
import tempfile
from collections.abc import Callable
from enum import StrEnum


class Outcome(StrEnum):
    KILLED = "killed"  # an answer differs, or the mutant crashes or does what C leaves undefined
    SURVIVED = "survived"
    REFUSED = "refused"  # by the compiler, or before anything runs
    TIMEOUT = "timeout"
    IDENTICAL = "identical"  # the compiler makes the same code of it: no mutant

    @property
    def caught(self) -> bool:
        return self in (Outcome.KILLED, Outcome.TIMEOUT, Outcome.REFUSED)


def in_a_child(check: Callable[[], None], cpu_seconds: int) -> tuple[Outcome, str]:
    """(outcome, why) of check() in a forked process: SURVIVED if it returns.

    TimeoutError, or the CPU limit, means TIMEOUT; any other error or a signal KILLED.
    """
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            _run(check, cpu_seconds, said.fileno())
        _, status = os.waitpid(child, 0)
        said.seek(0)
        why = said.read(400).decode(errors="replace")
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        cpu = name in ("SIGXCPU", "SIGKILL")
        return (Outcome.TIMEOUT, f"{cpu_seconds} CPU-seconds") if cpu else (Outcome.KILLED, name)
    code = os.WEXITSTATUS(status)
    return {0: Outcome.SURVIVED, 3: Outcome.TIMEOUT}.get(code, Outcome.KILLED), why


def _run(check: Callable[[], None], cpu_seconds: int, said: int) -> None:
    """In the child: never returns."""
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))  # a fork begins at 0; to be safe
    resource.setrlimit(resource.RLIMIT_CPU, (used + cpu_seconds, used + cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.disable()  # a mutant that crashes is no news
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    code = 0
    try:
        check()
    except TimeoutError as error:
        code = _say(said, error, 3)
    except BaseException as error:
        code = _say(said, error, 1)
    os._exit(code)


def _say(said: int, error: BaseException, code: int) -> int:
    os.write(said, f"{type(error).__name__}: {error}".encode()[:400])
    return code
