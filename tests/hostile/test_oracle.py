"""The oracle itself: each kind of fault, planted, is reported, and a worker outlives none of it."""

import contextlib
import ctypes
import os
import pickle
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeq.errors import BadInput, ModelFile
from tests.hostile import mutate, oracle
from tests.hostile.oracle import Case, Outcome, Place, Surface, run_cases


def surface(*cases: Callable[[Place], str]) -> Surface:
    """Case n does what the nth function does."""
    todo = list(cases)

    def case(rng: random.Random, base: object, place: Place) -> Case:
        number = int.from_bytes((place.case.parent / "number").read_bytes(), "little")
        (place.case.parent / "number").write_bytes((number + 1).to_bytes(4, "little"))
        return lambda: todo[number](place)

    def prepare(place: Place) -> None:
        (place.case.parent / "number").write_bytes(bytes(4))

    return Surface("planted", prepare, case)


def outcome_of(act: Callable[[Place], str], hang_s: float = 60.0) -> Outcome:
    (found,) = run_cases(surface(act), 1, [0], hang_s)
    return found


def ends_well(place: Place) -> str:
    return "a line\n\tand another"


def refuses(place: Place) -> str:
    raise ModelFile("no model: \x1b[2J is shown as text")


def raises(place: Place) -> str:
    raise KeyError("cycles")


def crashes(place: Place) -> str:
    ctypes.string_at(1)
    return ""


def exits(place: Place) -> str:
    os._exit(3)


def spins(place: Place) -> str:
    while True:
        pass


def waits(place: Place) -> str:
    time.sleep(60)
    return ""


def grows(place: Place) -> str:
    held = [bytearray(b"x" * (1 << 26)) for _ in range(40)]
    return str(len(held))


def grows_and_says_so(place: Place) -> str:
    try:
        return grows(place)
    except MemoryError as error:
        raise BadInput("too large for this machine") from error


def leaves_a_file(place: Place) -> str:
    Path("here").write_text("x")
    return ""


def leaves_a_temporary(place: Place) -> str:
    (place.tmp / "edgeq-x").mkdir()
    return ""


def leaves_a_half_written(place: Place) -> str:
    (place.case / ".export.new").write_text("x")
    raise BadInput("cannot be written")


def leaves_a_thread(place: Place) -> str:
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
    return ""


def runs_a_command(place: Place) -> str:
    os.system("true")
    return ""


def starts_a_process(place: Place) -> str:
    subprocess.run([sys.executable, "-c", ""], check=False)
    return ""


def is_marked(place: Place) -> str:
    (place.mark / "executed").touch()
    return ""


def shows_an_escape(place: Place) -> str:
    return "name: \x1b[2J"


def prints_an_escape(place: Place) -> str:
    print("\x9b31m")
    raise BadInput("no")


def prints_below_python(place: Place) -> str:
    os.write(2, b"\x1b]0;owned\x07")
    return ""


def prints_an_override(place: Place) -> str:
    return "a\u202eb"


@pytest.mark.parametrize(
    ("act", "result", "fault"),
    [
        (ends_well, "ok", None),
        (refuses, "ModelFile", None),
        (raises, "KeyError", r"raised KeyError at test_oracle.py:\d+: 'cycles'"),
        (crashes, "crash", r"ended its process \(SIGSEGV\)"),
        (exits, "crash", "ended its process"),
        (grows, "MemoryError", "raised MemoryError"),
        (grows_and_says_so, "BadInput", "asked for more than 1024 MiB"),
        (leaves_a_file, "ok", "left here"),
        (leaves_a_temporary, "ok", "left edgeq-x"),
        (leaves_a_half_written, "BadInput", r"left \.export\.new"),
        (leaves_a_thread, "ok", "left a thread"),
        (runs_a_command, "ok", r"executed os\.system"),
        (starts_a_process, "ok", r"executed subprocess\.Popen"),
        (is_marked, "ok", "executed a planted payload"),
        (shows_an_escape, "ok", r"printed '\\x1b' raw"),
        (prints_an_escape, "BadInput", r"printed '\\x9b' raw"),
        (prints_below_python, "ok", r"printed '\\x1b' raw"),
        (prints_an_override, "ok", r"printed '\\u202e' raw"),
    ],
)
def test_what_is_planted_is_reported(
    act: Callable[[Place], str], result: str, fault: str | None
) -> None:
    found = outcome_of(act)
    assert found.result == result
    if fault is None:
        assert found.fault is None
    else:
        assert found.fault is not None
        assert re.search(fault, found.fault), found.fault


def test_a_hang_that_works_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "MOST_CPU_S", -1)  # and two seconds of grace
    found = outcome_of(spins)
    assert (found.result, found.fault) == ("hang", "took more than -1 CPU-seconds")


def test_a_hang_that_waits_is_reported() -> None:
    found = list(run_cases(surface(ends_well, waits), 1, [0, 1], hang_s=2.0))
    assert [each.result for each in found] == ["ok", "hang"]
    assert found[1].fault == "gave no answer for 2 s"


def test_cases_after_a_crash_still_run() -> None:
    found = list(run_cases(surface(crashes), 1, [0]))
    found += run_cases(surface(ends_well, crashes), 1, [7, 8])
    assert [each.result for each in found] == ["crash", "ok", "crash"]
    assert [each.index for each in found] == [0, 7, 8]


def test_nothing_is_left_of_a_campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "_fast", lambda: str(tmp_path))
    for act in (leaves_a_file, leaves_a_temporary, crashes):
        outcome_of(act)
    assert not list(tmp_path.iterdir())


def test_a_fault_of_the_campaign_itself_is_none_of_the_product() -> None:
    def case(rng: random.Random, base: object, place: Place) -> Case:
        raise ValueError("a mutator's own")

    with pytest.raises(RuntimeError, match="a mutator's own"):
        list(run_cases(Surface("broken", Place.kept_empty, case), 1, [0]))


def test_the_planted_payloads_would_run(tmp_path: Path) -> None:
    """Most are live code for an unpickler that believes its file; else they prove nothing."""
    live = 0
    for payload in mutate.payloads(str(tmp_path / "mark")):
        (tmp_path / "mark").unlink(missing_ok=True)
        with contextlib.suppress(Exception):
            pickle.loads(b"\x80\x02" + payload + b".")
        time.sleep(0.2)  # one of them starts a process
        live += (tmp_path / "mark").exists()
    assert live >= 5
