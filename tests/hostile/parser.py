"""The firmware's serial parser: built for libFuzzer, for the campaign and for coverage."""

import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from edgeq.harness.frame import Frame, encode
from edgeq.harness.messages import place
from edgeq.resources import templates_dir
from tests.hang import HANG_S

HERE = Path(__file__).parent
DEVICE = HERE.parent / "unit" / "harness" / "device"
TARGET = HERE / "parser_target.c"
FLAGS = ("-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
SANITIZERS = "-fsanitize=address,undefined"
# One build a way that `db` is read: as int8, as pixels, as float32; one whose scale is beyond text;
# one of a model with a state, which has to be reset before it runs.
_ENORMOUS = ("-DEDGEQ_OUTPUT_SCALE_MANTISSA=16777215u", "-DEDGEQ_OUTPUT_SCALE_EXPONENT=(100)")
VARIANTS = {
    "plain": (),
    "energy": ("-DEDGEQ_ENERGY_MODE", "-DEDGEQ_MLPERF_PIXELS", *_ENORMOUS),
    "floats": ("-DEDGEQ_MLPERF_FLOATS", "-DEDGEQ_INPUT_BYTES=40"),
    "state": ("-DEDGEQ_STATE_BYTES=4",),
}
PARSER = ("frame.c", "mlperf.c", "mlperf_input.c", "protocol.c", "requests.c", "sample.c")


def clang() -> str | None:
    """A clang with its libFuzzer, where there is one."""
    for name in ("clang-14", "clang"):
        found = shutil.which(name)
        if found is None:
            continue
        words = [found, "-print-resource-dir"]
        said = subprocess.run(words, capture_output=True, text=True, timeout=HANG_S, check=False)
        if any((Path(said.stdout.strip()) / "lib").rglob("*clang_rt.fuzzer*.a")):
            return found
    return None


def sources() -> list[str]:
    """The runtime; memory.c stays out, it would replace the host's own memcpy."""
    runtime = sorted((templates_dir() / "runtime").glob("*.c"))
    return [str(path) for path in runtime if path.stem != "memory"]


def _compile(command: Sequence[str], out: Path, *flags: str) -> Path:
    line = [*command, *FLAGS, f"-I{templates_dir()}", f"-I{DEVICE}", *flags]
    line += [*sources(), str(TARGET), "-o", str(out)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return out


def build_fuzzer(folder: Path, variant: str) -> Path:
    """libFuzzer with AddressSanitizer and UndefinedBehaviorSanitizer. Needs clang."""
    compiler = clang()
    if compiler is None:
        raise RuntimeError("clang is not installed (Debian: clang-14 libclang-rt-14-dev)")
    flags = (f"{SANITIZERS},fuzzer", "-fno-sanitize-recover=all", *VARIANTS[variant])
    return _compile([compiler], folder / f"fuzz_{variant}", *flags)


def build_standalone(folder: Path) -> Path:
    """The target as a loop over cases; with sanitizers where gcc is there."""
    out = folder / "standalone"
    if shutil.which("gcc"):
        checked = (SANITIZERS, "-fno-sanitize-recover=all")
        return _compile(["gcc"], out, "-DSTANDALONE", *checked)
    return _compile([sys.executable, "-m", "ziglang", "cc"], out, "-DSTANDALONE")


def seeds() -> list[bytes]:
    """What a corpus begins with: each request, each command, their edges."""
    from tests.hostile.surfaces.lines import COMMANDS, host_bytes

    frames = [
        Frame(1, 5, b""),
        Frame(1, 6, bytes(64)),
        Frame(2, 7, place(1, 0) + bytes(59)),
        Frame(2, 8, place(1, 299) + b"xy"),
        Frame(2, 9, place(0, 0) + b"x"),
        Frame(2, 1, b"x"),
        Frame(2, 1, place(9, 0) + b"x"),
        Frame(3, 2, place(0, 0) + b"\x3b"),
        Frame(3, 3, place(2, 0) + b"\x00"),
        Frame(3, 3, place(3, 2**31) + b"\x3b"),
        Frame(3, 3, place(3, 0)),
        Frame(4, 4, bytes(8)),
        Frame(4, 4, bytes(7)),
        Frame(4, 4, b"\x01\0\0\0" + (0x6D9F9E67).to_bytes(4, "little")),
        Frame(5, 4, b""),
        Frame(5, 4, b"x"),
        Frame(6, 4, b"x"),
        Frame(6, 4, (100).to_bytes(4, "little")),
        Frame(6, 4, (921_600).to_bytes(4, "little")),
        Frame(200, 1, b""),
    ]
    odd = [b"~" * 4, b"~abc\n", b"~\x7d\x7d~", b"~" + b"a" * 200 + b"~", b"~\x7d~", b"~abcdefgh~"]
    found = [encode(frame) for frame in frames] + list(COMMANDS) + odd
    found += [_ran(300), _ran(40) + _ran(40), _floats(), encode(Frame(5, 4, b"")) + _ran(300)]
    found += [b"db load 2%db 7fAF%infer 1 0%", b"db load 4%db 0000FE42%infer 1 0%"]
    return found + [host_bytes(random.Random(i)) for i in range(60)]


def _ran(size: int) -> bytes:
    """An input of zeros, which is run, twice: the second time its result is kept."""
    import zlib

    crc = zlib.crc32(bytes(size)).to_bytes(4, "little")
    return encode(Frame(4, 4, b"\x01\0\0\0" + crc)) * 2


def _floats() -> bytes:
    """40 float32 of every size, by `db`, then an inference."""
    import struct

    values = [0.0, -1.0, 1e-9, 3.7, 1e9, -1e30, float("inf"), float("nan")] * 5
    data = struct.pack("<40f", *values)
    pieces = [data[at : at + 30].hex().encode() for at in range(0, len(data), 30)]
    load = b"db load 160%" + b"".join(b"db " + piece + b"%" for piece in pieces)
    return load + b"db print%infer 1 0%results%"


def write_seeds(folder: Path) -> Path:
    """The corpus as libFuzzer takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds()):
        (folder / f"seed{number:03}").write_bytes(data)
    return folder


def fuzz(folder: Path, variant: str, seconds: int, seed: int, runs: int = -1) -> dict[str, int]:
    """So many seconds or runs, whichever end first. RuntimeError, with its report, for a crash.

    The corpus in `folder` is grown and used again. Returns executions, and edges covered.
    """
    program = build_fuzzer(folder, variant)
    corpus = write_seeds(folder / f"corpus_{variant}")
    words = [str(program), str(corpus), f"-max_total_time={seconds}", f"-seed={seed}"]
    # no limit of the whole: a process starts with the peak of the one that made it, here pytest's
    words += [f"-runs={runs}", "-max_len=1024", "-timeout=10", "-rss_limit_mb=0"]
    words += ["-malloc_limit_mb=256"]
    words += [f"-artifact_prefix={folder}/", "-print_final_stats=1"]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=2 * seconds + 600, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the parser ({variant}) failed: {done.stderr[-4000:]}")
    ran = re.search(r"stat::number_of_executed_units:\s+(\d+)", done.stderr)
    edges = re.findall(r" cov: (\d+) ", done.stderr)
    assert ran
    return {"executions": int(ran[1]), "edges": int(edges[-1]) if edges else 0}


def uncovered(folder: Path, inputs: Iterable[bytes]) -> set[str]:
    """ "file: text" of every line of the parser's code that no input reaches, in any variant."""
    inputs, code, reached = list(inputs), set(), set()
    for variant, flags in VARIANTS.items():
        place = folder / f"coverage_{variant}"
        place.mkdir(parents=True, exist_ok=True)
        for name, number, count in _counts(place, flags, inputs):
            code.add((name, number))
            if count > 0:
                reached.add((name, number))
    lines = {name: (templates_dir() / "runtime" / name).read_text().splitlines() for name in PARSER}
    return {f"{name}: {lines[name][number - 1].strip()}" for name, number in code - reached}


def _counts(
    folder: Path, flags: Sequence[str], inputs: Sequence[bytes]
) -> Iterator[tuple[str, int, int]]:
    """(file, line, how often it ran) of every line that gcov knows as code."""
    command = ["gcc", "--coverage", "-DSTANDALONE", "-std=c99", "-g", "-O0", *flags]
    command += [f"-I{templates_dir()}", f"-I{DEVICE}", *sources(), str(TARGET), "-o", "covered"]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    fed = b"".join(len(data).to_bytes(4, "little") + data for data in inputs)
    subprocess.run(["./covered"], cwd=folder, input=fed, stdout=subprocess.DEVNULL, check=True)
    for name in PARSER:
        note = next(folder.glob(f"*-{Path(name).stem}.gcda"))
        words = ["gcov", "--stdout", "--object-directory", str(folder), str(note)]
        said = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
        own = False
        for line in said.stdout.splitlines():
            count, number, text = (part.strip() for part in (line + "::").split(":", 2))
            if text.startswith("Source:"):  # of the headers it includes, too
                own = text.rstrip(":").endswith(f"/{name}")
            if own and number.isdigit() and int(number) and count != "-":
                yield name, int(number), int(count.rstrip("*")) if count[0].isdigit() else 0
