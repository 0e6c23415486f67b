"""The firmware's serial parser: fuzzed, its lines all reached, its crashes noticed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.hang import HANG_S
from tests.hostile import parser

SECONDS = 60
# Lines of code that no byte on the line can reach, and why.
UNREACHED: dict[str, str] = {}

needs_clang = pytest.mark.skipif(
    parser.clang() is None, reason="clang and its libFuzzer are absent"
)
needs_gcov = pytest.mark.skipif(shutil.which("gcov") is None, reason="gcc and gcov are absent")


@needs_gcov
def test_every_line_of_the_parser_is_reached(tmp_path: Path) -> None:
    missed = parser.uncovered(tmp_path, parser.seeds())
    assert missed == set(UNREACHED)


def test_the_seeds_do_no_harm(tmp_path: Path) -> None:
    program = parser.build_standalone(tmp_path)
    fed = b"".join(len(data).to_bytes(4, "little") + data for data in parser.seeds())
    subprocess.run([str(program)], input=fed, stdout=subprocess.DEVNULL, check=True, timeout=HANG_S)


@pytest.mark.full
@needs_clang
@pytest.mark.parametrize(
    ("variant", "share"), [("plain", 0.5), ("energy", 0.25), ("floats", 0.25), ("state", 0.25)]
)
def test_a_minute_of_fuzzing_finds_no_crash(variant: str, share: float, tmp_path: Path) -> None:
    said = parser.fuzz(tmp_path, variant, round(SECONDS * share), seed=2)
    assert said["executions"] > 10_000


FAULTS = {
    "a byte beyond the frame": (
        "    if (parser->count >= FRAME_BYTES) {",
        "    if (parser->count > FRAME_BYTES + 9u) {",
        "frame.c",
    ),
    "a region read beyond its end": (
        "(offset > size || count > size - offset)",
        "(offset > size || count > size + 1u)",
        "requests.c",
    ),
    "a command beyond its buffer": (
        "if (command_length < COMMAND_BYTES)",
        "if (command_length <= COMMAND_BYTES + 8u)",
        "mlperf.c",
    ),
    "a parser that stays broken": (
        "    parser->broken = false;",
        "    parser->escaped = false;",
        "frame.c",
    ),
}


@needs_clang
@pytest.mark.full
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, name = FAULTS[fault]
    copied = shutil.copytree(parser.templates_dir(), tmp_path / "templates")
    source = copied / "runtime" / name
    text = source.read_text()
    assert text.count(old) == 1
    source.write_text(text.replace(old, new))
    monkeypatch.setattr(parser, "templates_dir", lambda: copied)
    with pytest.raises(RuntimeError, match="failed"):
        parser.fuzz(tmp_path, "plain", 60, seed=3)
