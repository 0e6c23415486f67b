"""What a hostile case may do: end well, or with an error of edgeq's. Everything else is a fault.

A worker process runs many cases. Each is watched for its CPU time, its memory, the files it leaves,
what it executes and what it prints; a worker that dies is replaced, and its case reported.
"""

import contextlib
import faulthandler
import io
import os
import random
import resource
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edgeq.errors import EdgeqError

MOST_CPU_S = 10
MOST_BYTES = 1 << 30
HANG_S = 120  # by the wall clock, for what waits without working
EXECUTES = frozenset(
    ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn")
) | {"subprocess.Popen", "socket.connect", "os.startfile"}
OK = "ok"


@dataclass(frozen=True)
class Place:
    """Where a case works. `case` holds its own files; the others must stay empty."""

    case: Path
    tmp: Path
    cwd: Path
    mark: Path

    def kept_empty(self) -> tuple[Path, ...]:
        return (self.tmp, self.cwd, self.mark)


Case = Callable[[], str]  # runs the product, returns what a user would see


@dataclass(frozen=True)
class Surface:
    """A kind of input. `prepare` makes what its cases are mutated from, in the worker.

    `case` writes the files of one case, by nothing but its generator, and returns what reads them.
    """

    name: str
    prepare: Callable[[Place], Any]
    case: Callable[[random.Random, Any, Place], Case]


@dataclass(frozen=True)
class Outcome:
    """`result`: "ok" or the error's class; `fault`: None, or what must not be."""

    index: int
    result: str
    fault: str | None
    cpu_s: float
    memory_bytes: int


def generator(surface: str, seed: int, index: int) -> random.Random:
    """All that a case depends on."""
    return random.Random(f"{surface}/{seed}/{index}")


class Watch:
    """In the worker: runs cases and judges them."""

    def __init__(self, surface: Surface, seed: int, place: Place) -> None:
        self._surface, self._seed, self._place = surface, seed, place
        self._executed: list[str] = []
        self._listening = False
        sys.addaudithook(self._hear)
        self._base = surface.prepare(place)
        self._empty()
        self._printed = os.open(place.case.parent / "printed", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        for descriptor in (1, 2):
            os.dup2(self._printed, descriptor)
        self._threads = threading.active_count()
        limit = _status("VmSize") + MOST_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_BYTES, MOST_BYTES))

    def run(self, index: int) -> Outcome:
        """One case, from its files to the verdict."""
        self._empty()
        rng = generator(self._surface.name, self._seed, index)
        case = self._surface.case(rng, self._base, self._place)
        before = self._files()
        self._executed.clear()
        _forget_peak()
        memory, said = _status("VmHWM"), io.StringIO()
        signal.setitimer(signal.ITIMER_PROF, MOST_CPU_S + 2)
        start, self._listening = time.process_time(), True
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            result, fault = _judged(case, said)
        self._listening = False
        cpu = time.process_time() - start
        signal.setitimer(signal.ITIMER_PROF, 0)
        grown = max(0, _status("VmHWM") - memory)
        fault = fault or self._left(before) or _cost(cpu, grown) or _raw(said.getvalue())
        return Outcome(index, result, fault or self._raw_below(), cpu, grown)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._listening and event in EXECUTES:
            self._executed.append(f"{event} {str(arguments)[:100]}")

    def _empty(self) -> None:
        """Nothing of the case before is left to this one."""
        for folder in (self._place.case, *self._place.kept_empty()):
            _clear(folder)

    def _files(self) -> set[str]:
        return {str(path) for path in self._place.case.rglob("*")}

    def _left(self, before: set[str]) -> str | None:
        if self._executed:
            return f"executed {self._executed[0]}"
        if any(self._place.mark.iterdir()):
            return "executed a planted payload"
        left = [str(p) for f in self._place.kept_empty() for p in f.iterdir()]
        left += sorted(self._files() - before)
        if left:
            return f"left {Path(left[0]).name}"
        return "left a thread" if threading.active_count() > self._threads else None

    def _raw_below(self) -> str | None:
        """What was printed beneath Python."""
        size = os.fstat(self._printed).st_size
        if not size:
            return None
        text = os.pread(self._printed, size, 0).decode("utf-8", "replace")
        os.ftruncate(self._printed, 0)
        return _raw(text)


def _judged(case: Case, said: io.StringIO) -> tuple[str, str | None]:
    """The class of how it ended, and the fault in it."""
    try:
        said.write(case())
        return OK, None
    except EdgeqError as error:
        said.write(str(error))
        return type(error).__name__, _short_of_memory(error)
    except click.ClickException as error:
        said.write(error.format_message())
        return type(error).__name__, None
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return type(error).__name__, f"raised {type(error).__name__} at {where}: {error!s:.120}"


def _short_of_memory(error: BaseException) -> str | None:
    """An error in words is no success where a gibibyte was asked for first."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError) or "can't allocate memory" in str(seen):
            return f"asked for more than {MOST_BYTES >> 20} MiB"
        seen = seen.__cause__ or seen.__context__
    return None


def _cost(cpu_s: float, memory: int) -> str | None:
    if cpu_s > MOST_CPU_S:
        return f"took {cpu_s:.1f} CPU-seconds"
    return f"took {memory >> 20} MiB" if memory > MOST_BYTES else None


def _raw(text: str) -> str | None:
    """A character that could steer a terminal."""
    if text.isprintable():
        return None
    odd = next((c for c in text if not c.isprintable() and c not in "\n\t"), None)
    return (
        None
        if odd is None
        else f"printed {odd!r} raw, in {text[max(0, text.index(odd) - 40) :][:60]!r}"
    )


def _clear(folder: Path) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _clear(Path(entry.path))
                os.rmdir(entry.path)
            else:
                os.unlink(entry.path)


def _status(name: str) -> int:
    """Bytes of a line of /proc/self/status."""
    with open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(name.encode()):
                return int(line.split()[1]) * 1024
    return 0


def _forget_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "wb") as file:
        file.write(b"5")


def run_cases(
    surface: Surface, seed: int, indices: Iterable[int], hang_s: float = HANG_S
) -> Iterator[Outcome]:
    """The outcomes in order; a case that ends its worker is an outcome, too."""
    waiting = list(indices)
    while waiting:
        with tempfile.TemporaryDirectory(prefix="edgeq-hostile-", dir=_fast()) as folder:
            worker = _Worker(surface, seed, Path(folder), waiting)
            done = 0
            for outcome in worker.outcomes(hang_s):
                done += 1
                yield outcome
            del waiting[:done]


def _fast() -> str | None:
    """Memory, where the system has such a file system."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class _Worker:
    """A forked process over some cases, as its parent sees it."""

    def __init__(self, surface: Surface, seed: int, root: Path, indices: list[int]) -> None:
        self._indices = indices
        self._reader, writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._reader)
            _serve(surface, seed, root, indices, writer)
        os.close(writer)

    def outcomes(self, hang_s: float) -> Iterator[Outcome]:
        """Until all are done, or one has killed the worker, or hangs."""
        done, rest, silent = 0, b"", False
        try:
            while done < len(self._indices):
                if not select.select([self._reader], [], [], hang_s if done or rest else 600)[0]:
                    silent = True
                    break
                data = os.read(self._reader, 65536)
                if not data:
                    break
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    done += 1
                    yield _decoded(line)
        finally:
            status = self._end()
        if done < len(self._indices):
            yield _died(self._indices[done], status, silent, hang_s)

    def _end(self) -> int:
        os.close(self._reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL) if not _ended(self._pid) else None
        return _STATUS.pop(self._pid) if self._pid in _STATUS else os.waitpid(self._pid, 0)[1]


_STATUS: dict[int, int] = {}


def _ended(pid: int) -> bool:
    """Whether the worker ends by itself within a moment; its status is kept."""
    for _ in range(200):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            _STATUS[pid] = status
            return True
        time.sleep(0.005)
    return False


def _died(index: int, status: int, silent: bool, hang_s: float) -> Outcome:
    if silent:
        return Outcome(index, "hang", f"gave no answer for {hang_s:g} s", 0.0, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF:
        return Outcome(index, "hang", f"took more than {MOST_CPU_S} CPU-seconds", MOST_CPU_S, 0)
    how = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else str(status)
    return Outcome(index, "crash", f"ended its process ({how})", 0.0, 0)


def _serve(surface: Surface, seed: int, root: Path, indices: list[int], writer: int) -> None:
    """The worker's whole life."""
    code = 1
    faulthandler.disable()  # a crash is the parent's to report
    try:
        place = Place(*(root / name for name in ("case", "tmp", "cwd", "mark")))
        for folder in (place.case, *place.kept_empty()):
            folder.mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = str(place.tmp)
        os.chdir(place.cwd)
        watch = Watch(surface, seed, place)
        for index in indices:
            os.write(writer, _encoded(watch.run(index)))
        code = 0
    except BaseException:
        with open(root / "trouble", "w") as file:  # a fault of the campaign, not of the product
            traceback.print_exc(file=file)
        os.write(
            writer, b"!" + (root / "trouble").read_bytes()[-3000:].replace(b"\n", b"|") + b"\n"
        )
    finally:
        os._exit(code)


def _encoded(outcome: Outcome) -> bytes:
    return (repr((outcome.index, outcome.result, outcome.fault, outcome.cpu_s,
                  outcome.memory_bytes)) + "\n").encode()  # fmt: skip


def _decoded(line: bytes) -> Outcome:
    import ast

    if line.startswith(b"!"):
        raise RuntimeError(line[1:].decode("utf-8", "replace").replace("|", "\n"))
    return Outcome(*ast.literal_eval(line.decode()))
