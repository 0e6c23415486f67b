"""`edgeq profile` killed or interrupted: real processes, the virtual board on a real pty."""

import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from edgeq.harness.link import BoardLink
from edgeq.harness.trace import Run, read_run, run_folders
from edgeq.profile_request import ProfileRequest
from edgeq.profiling import profile
from tests.hang import HANG_S
from tests.same_profiles import check_same_records, check_same_summaries
from tests.tiny_export import served, tiny_export

SAMPLES = 60
DEADLINE_S = HANG_S


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_export(tmp_path_factory.mktemp("killed") / "export", SAMPLES)


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[str]:
    with served(folder) as (name, _):
        yield name


@pytest.fixture(scope="module")
def whole(folder: Path, port: str) -> Run:
    """An uninterrupted run."""
    return read_run(str(profile(ProfileRequest(folder, port, run=folder / "whole")).run))


def wait_for(condition: Callable[[], bool], alive: Callable[[], bool]) -> None:
    """Until the condition holds or the process has ended."""
    until = time.monotonic() + DEADLINE_S
    while alive() and not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def recorded(run: Path) -> int:
    """Records now, while the process writes them."""
    return len(read_run(run).records) if run.exists() else 0


def words(folder: Path, port: str, run: Path, resume: bool) -> list[str]:
    flags = ["--port", port, "--firmware", str(folder), "--run", str(run)]
    return ["profile", *flags, "--json", *(["--resume"] if resume else [])]


def check_cut(run: Path, whole: Run) -> Run:
    """What is there is readable, in order, and what the uninterrupted run has."""
    cut = read_run(run)
    check_same_records(cut.records, whole.records[: len(cut.records)])
    return cut


def check_completed(folder: Path, port: str, run: Path, whole: Run) -> None:
    summary = profile(ProfileRequest(folder, port, run=run, resume=True))
    done = read_run(run)
    assert done.complete
    check_same_records(done.records, whole.records)
    assert done.summary == summary
    assert whole.summary is not None
    check_same_summaries(summary.entry, whole.summary.entry)


def test_a_killed_profile_is_readable_and_resumes(folder: Path, port: str, whole: Run) -> None:
    run = folder / "killed"
    for resume, at in ((False, 7), (True, 29)):
        command = [sys.executable, "-m", "edgeq", *words(folder, port, run, resume)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            wait_for(lambda at=at: recorded(run) >= at, lambda p=process: p.poll() is None)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        cut = check_cut(run, whole)
        assert at <= len(cut.records) < SAMPLES
        assert cut.ended is None
        assert cut.summary is None
    check_completed(folder, port, run, whole)
    assert len(read_run(run).manifest.sessions) == 3


def test_an_interrupt_leaves_board_port_and_run_sane(folder: Path, port: str, whole: Run) -> None:
    run = folder / "interrupted"
    command = [sys.executable, "-m", "edgeq", *words(folder, port, run, False)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(lambda: recorded(run) >= 5, lambda: process.poll() is None)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=HANG_S)
    assert (process.returncode, out) == (130, "")
    cut = check_cut(run, whole)
    assert cut.ended == "KeyboardInterrupt"
    assert 5 <= len(cut.records) < SAMPLES
    last = err.strip().splitlines()[-1]
    said = rf"edgeq: interrupted; {len(cut.records)} of {SAMPLES} samples are kept in (\S+); "
    assert re.match(said + "continue with: edgeq profile .* --resume$", last), err
    assert not list(run.glob("journal*"))
    with BoardLink.open(port, HANG_S) as link:
        assert link.info().board == "virtual_m4"
    check_completed(folder, port, run, whole)


def profile_process(arguments: list[str]) -> None:
    """`edgeq` with these arguments, in a process forked from one that has its modules loaded."""
    from edgeq import cli

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    sys.argv = ["edgeq", *arguments]
    cli.main()


def killed_somewhere(arguments: list[str], run: Path, chance: random.Random) -> BaseProcess:
    """Starts a profile and kills it: before, while or after it records, or as it ends."""
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=profile_process, args=(arguments,))
    process.start()
    have = recorded(run)
    kind = chance.randrange(8)
    if kind == 0:
        time.sleep(chance.uniform(0.0, 0.2))
    else:
        at = SAMPLES if kind == 1 else chance.randint(have, min(SAMPLES, have + 15))
        wait_for(lambda: recorded(run) >= at, process.is_alive)
        time.sleep(chance.uniform(0.0, 0.1 if kind == 1 else 0.01))
    process.kill()
    process.join()
    return process


@pytest.mark.full
def test_fifty_kills_lose_nothing(folder: Path, port: str, whole: Run) -> None:
    """Each run is killed, resumed and killed again until it is nearly done, then completed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["edgeq.profiling", "edgeq.reporting.profile_files"])
    runs, chance, kills, lengths = folder / "fifty", random.Random(7), 0, []
    while kills < 50:
        run = runs / f"{len(run_folders(runs)) + 1:04}"
        kills_of_run = chance.randint(1, 6)
        for _ in range(kills_of_run):
            process = killed_somewhere(words(folder, port, run, run.exists()), run, chance)
            kills += process.exitcode == -signal.SIGKILL
            if run.exists():
                lengths.append(len(check_cut(run, whole).records))
        if run.exists():
            check_completed(folder, port, run, whole)
    assert len(set(lengths)) > 10  # the moments differed
    assert any(0 < length < SAMPLES for length in lengths)
