"""The device runtime byte by byte: MLPerf Tiny transcripts, refusals, noise under sanitizers."""

import math
import re
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from device_build import DEVICE, WARNINGS, runtime_sources
from elftools.elf.elffile import ELFFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stub_model import expected

from edgeq.harness.frame import Decoder, Frame, encode
from edgeq.harness.messages import INFO, INPUT, LAYERS, NAK, PING, READ, RESULT, RUN, WRITE, place
from edgeq.resources import templates_dir
from tests.hang import HANG_S

BOOT = b"m-timestamp-mode-performance\r\nm-lap-us-1000\r\nm-init-done\r\nm-ready\r\n"
PROFILE = b"m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[ic01]\r\n"


def talk(program: Path, sent: bytes) -> bytes:
    """All that the firmware answers to `sent` before its input ends."""
    done = subprocess.run(
        [str(program)], input=sent, capture_output=True, timeout=HANG_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    return done.stdout


def replies(program: Path, sent: bytes) -> bytes:
    out = talk(program, sent)
    assert out.startswith(BOOT)
    return out[len(BOOT) :]


def asked(program: Path, *frames: Frame) -> list[Frame]:
    return Decoder().feed(talk(program, b"".join(map(encode, frames))))


def results_line(data: bytes) -> bytes:
    values = [(int(q) + 10) * 3906250 for q in expected(0, data).output]
    texts = []
    for nano in values:
        micro = (abs(nano) + 500) // 1000
        texts.append(f"{'-' if nano < 0 else ''}{micro // 10**6}.{micro % 10**6:06d}")
    return b"m-results-[" + ",".join(texts).encode() + b"]\r\n"


def test_mlperf_session(firmware):
    """What the open runner sends for one sample, answered to the byte."""
    data = bytes(range(250)) + bytes(50)
    load = b"".join(b"db " + data[at : at + 31].hex().encode() + b"%" for at in range(0, 300, 31))
    pieces = len(range(0, 300, 31))
    got = replies(firmware(), b"name%profile%db load 300%" + load + b"infer 2 1%results%")
    laps = [line for line in got.split(b"\r\n") if line.startswith(b"m-lap-us-")]
    assert len(laps) == 2
    assert int(laps[1][9:]) > int(laps[0][9:])
    assert got == (
        b"m-name-dut-[host_stub]\r\nm-ready\r\n" + PROFILE + b"m-ready\r\n"
        b"m-[Expecting 300 bytes]\r\nm-ready\r\n" + b"m-ready\r\n" * (pieces - 1)
        + b"m-load-done\r\nm-ready\r\n"
        b"m-warmup-start-1\r\nm-warmup-done\r\nm-infer-start-2\r\n"
        + b"".join(lap + b"\r\n" for lap in laps)
        + b"m-infer-done\r\n" + results_line(data) + b"m-ready\r\n"
        + results_line(data) + b"m-ready\r\n"
    )  # fmt: skip


def test_infer_defaults(firmware):
    got = replies(firmware(), b"infer%")
    assert got.startswith(b"m-warmup-start-10\r\nm-warmup-done\r\nm-infer-start-1\r\n")


def test_timestamp_counts_microseconds_past_the_wrap(firmware):
    """50 M cycles a look at a 1 MHz counter: it wraps in 86 looks, the time must not."""
    out = talk(firmware("-DCYCLES_A_CALL=50000000u"), b"timestamp%" * 100)
    laps = [int(line[9:]) for line in out.split(b"\r\n") if line.startswith(b"m-lap-us-")]
    assert laps == sorted(laps)
    assert laps[-1] > 2**32
    assert all(lap % 50_000_000 == 0 for lap in laps)


def test_energy_mode_prints_no_times(firmware):
    out = talk(firmware("-DEDGEQ_ENERGY_MODE"), b"timestamp%infer 1 0%")
    assert out.startswith(b"m-timestamp-mode-energy\r\nm-init-done\r\nm-ready\r\nm-ready\r\n")
    assert b"m-lap-us" not in out
    assert b"m-infer-start-1\r\nm-infer-done\r\nm-results-[" in out


def test_energy_mode_pulses_the_marker_around_the_inferences(firmware):
    """A cycle of the stub is a microsecond, and each look at its counter takes one."""
    program = firmware("-DEDGEQ_ENERGY_MODE", "-DLOG_MARKER", "-DCYCLES_A_CALL=1u")
    done = subprocess.run(
        [str(program)],
        input=b"infer 5 2%timestamp%",
        capture_output=True,
        timeout=HANG_S,
        check=True,
    )
    edges = [tuple(map(int, line.split())) for line in done.stderr.splitlines()]
    assert [level for level, _ in edges] == [0, 1] * 4  # boot, begin, end, time stamp
    times = [time for _, time in edges]
    falls, rises = times[0::2], times[1::2]
    assert all(rise - fall >= 2 for fall, rise in zip(falls, rises, strict=True))
    inferences = 5  # each looks at the counter once
    assert falls[2] - rises[1] == inferences


def test_pixels_are_read_128_lower(firmware):
    pixels = bytes(range(250)) + bytes(50)
    load = b"".join(b"db " + pixels[at : at + 31].hex().encode() + b"%" for at in range(0, 300, 31))
    command = b"db load 300%" + load + b"db print%infer 1 0%"
    got = replies(firmware("-DEDGEQ_MLPERF_PIXELS"), command)
    assert results_line(bytes(p ^ 0x80 for p in pixels)) in got
    printed = b"".join(re.findall(rb"m-buffer-([0-9a-f-]+)", got)).replace(b"-", b"")
    assert bytes.fromhex(printed.decode()) == pixels


@pytest.mark.parametrize("scale", [16.05, 3.92e-9, 1 / 3, 2.0**-45, 4.0e6, 3e9])
def test_case_08_results_of_any_scale_are_right(firmware, scale):
    fraction, exponent = math.frexp(float(np.float32(scale)))
    mantissa = round(fraction * 2**24)
    flags = (
        f"-DEDGEQ_OUTPUT_SCALE_MANTISSA={mantissa}u",
        f"-DEDGEQ_OUTPUT_SCALE_EXPONENT=({exponent - 24})",
    )
    data = bytes(300)
    load = b"".join(b"db " + data[at : at + 31].hex().encode() + b"%" for at in range(0, 300, 31))
    got = replies(firmware(*flags), b"db load 300%" + load + b"infer 1 0%")
    values = re.search(rb"m-results-\[([-0-9.,]+)\]", got)
    steps = [int(q) + 10 for q in expected(0, data).output]
    real = Fraction(mantissa) * Fraction(2) ** (exponent - 24)
    wanted = [math.floor(abs(n) * real * 10**6 + Fraction(1, 2)) for n in steps]
    assert [abs(Fraction(v.decode())) * 10**6 for v in values[1].split(b",")] == wanted


FLOATS = ("-DEDGEQ_MLPERF_FLOATS", "-DEDGEQ_INPUT_BYTES=40")


def load_floats(values: np.ndarray) -> bytes:
    data = values.astype("<f4").tobytes()
    pieces = (data[at : at + 31].hex().encode() for at in range(0, len(data), 31))
    return b"db load 160%" + b"".join(b"db " + piece + b"%" for piece in pieces)


def anomaly(values: np.ndarray) -> float:
    """The mean squared error of the stub's output against float32 inputs, as ad01 reports it."""
    codes = np.clip(np.floor(values.astype(np.float32) / 0.25 + 0.5) + 5, -128, 127)
    output = expected(0, codes.astype(np.int8).tobytes()).output
    return float((((output.astype(np.float64) + 10) * 0.00390625 - values) ** 2).mean())


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            st.integers(-2000, 2000).map(lambda n: n / 64),
            st.floats(-200, 200, width=32).filter(lambda v: abs(v * 4 % 1 - 0.5) > 1e-4),
        ),
        min_size=40,
        max_size=40,
    )
)
def test_floats_are_quantised_and_the_error_reported(shared_firmware, values):
    floats = np.array(values, np.float32).astype(np.float64)
    got = replies(shared_firmware(*FLOATS), load_floats(floats) + b"infer 1 0%results%")
    errors = [float(text) for text in re.findall(rb"m-results-\[([0-9.]+)\]", got)]
    assert errors == [pytest.approx(anomaly(floats), rel=1e-4, abs=2e-5)] * 2


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(-190, 190, width=32), min_size=40, max_size=40))
def test_case_08_inputs_of_a_large_scale_are_quantised_exactly(shared_firmware, values):
    """The stub's errors depend on every code; half a step is decided without rounding."""
    scale = np.float32(100.03125)
    fraction, exponent = math.frexp(float(scale))
    flags = (
        f"-DEDGEQ_INPUT_SCALE_MANTISSA={round(fraction * 2**24)}u",
        f"-DEDGEQ_INPUT_SCALE_EXPONENT=({exponent - 24})",
    )
    got = replies(shared_firmware(*FLOATS, *flags), load_floats(np.array(values)) + b"infer 1 0%")
    codes = [math.floor(Fraction(v) / Fraction(float(scale)) + Fraction(1, 2)) + 5 for v in values]
    data = np.clip(codes, -128, 127).astype(np.int8).tobytes()
    reals = (expected(0, data).output.astype(np.float64) + 10) / 256
    error = float(((reals - np.array(values, np.float32).astype(np.float64)) ** 2).mean())
    said = float(re.search(rb"m-results-\[([0-9.]+)\]", got)[1])
    assert said == pytest.approx(error, rel=1e-4, abs=2e-5)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e38, -1e38, 3e-39, -0.0])
def test_no_float_is_too_wild(firmware, value):
    got = replies(firmware(*FLOATS), load_floats(np.full(40, value)) + b"infer 1 0%")
    assert re.search(rb"m-results-\[\d+\.\d{6}\]\r\nm-ready", got)


def test_an_announcement_above_the_buffer_of_floats(firmware):
    got = replies(firmware(*FLOATS), b"db load 161%")
    assert got.startswith(b"e-[Supplied buffer size 161 exceeds maximum of 160]")


def test_buffer_is_printed_eight_a_line(firmware):
    got = replies(firmware(), b"db load 9%db 0102030405060708Ff99%db print%")
    assert got == (
        b"m-[Expecting 9 bytes]\r\nm-ready\r\nm-load-done\r\nm-ready\r\n"
        b"m-buffer-01-02-03-04-05-06-07-08\r\nm-buffer-ff\r\n\r\nm-ready\r\n"
    )


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"nonsense%", b"e-[Unknown command: nonsense]"),
        (b"%", b"e-[Unknown command: ]"),
        (b"n\xff\x1b%", b"e-[Unknown command: n??]"),
        (b"db%", b"e-[Command 'db' requires a subcommand]"),
        (b"db load%", b"e-[Command 'db load' requires the # of bytes]"),
        (b"db load 0%", b"e-[Command 'db load' must be >0 bytes]"),
        (b"db load -5%", b"e-[Command 'db load' must be >0 bytes]"),
        (b"db load 301%", b"e-[Supplied buffer size 301 exceeds maximum of 300]"),
        (b"db load 99999999999999999999%", b"e-[Supplied buffer size 999999999 exceeds"),
        (b"db 123%", b"e-[Insufficent number of hex digits]"),
        (b"db 12%", b"e-[More bytes than 'db load' announced]"),
        (b"db 1x%", b"e-[Invalid hex digit '1x']"),
        (b"infer 0%", b"e-[Inference iterations must be >0]"),
        (b"infer 1 -1%", b"e-[Inference warmup must be >=0]"),
        (b"x" * 81 + b"%", b"e-[Command is longer than 80 characters]"),
        (b"x" * 5000 + b"%", b"e-[Command is longer than 80 characters]"),
    ],
)
def test_errors_of_text_commands(firmware, command, answer):
    got = replies(firmware(), command)
    assert got.startswith(answer)
    assert got.endswith(b"]\r\nm-ready\r\n")
    assert got.count(b"\r\n") == 2


def test_line_ends_between_commands_are_skipped(firmware):
    assert (
        replies(firmware(), b"na\r\nme%\r\nname%") == b"m-name-dut-[host_stub]\r\nm-ready\r\n" * 2
    )


@pytest.mark.parametrize(
    ("kind", "payload", "reason"),
    [
        (0x00, b"", 1),
        (0x7F, b"abc", 1),
        (0x82, place(INPUT, 0), 1),
        (WRITE, b"", 2),
        (WRITE, place(INPUT, 0)[:4], 2),
        (READ, place(INPUT, 0), 2),
        (READ, place(INPUT, 0) + b"\x3c", 2),
        (READ, place(INPUT, 0) + b"\x01\x02", 2),
        (RUN, b"1234567", 2),
        (RUN, b"123456789", 2),
        (WRITE, place(4, 0) + b"x", 3),
        (READ, place(255, 0) + b"\x01", 3),
        (WRITE, place(INPUT, 300) + b"x", 4),
        (WRITE, place(INPUT, 299) + b"xy", 4),
        (WRITE, place(INPUT, 0xFFFFFFFF) + b"xy", 4),
        (READ, place(RESULT, 79) + b"\x02", 4),
        (READ, place(LAYERS, 0x80000000) + b"\x3b", 4),
        (WRITE, place(INFO, 0) + b"x", 5),
        (WRITE, place(RESULT, 0) + b"x", 5),
        (RUN, struct.pack("<II", 1, 12345), 6),
    ],
)
def test_refusals(firmware, kind, payload, reason):
    assert asked(firmware(), Frame(kind, 77, payload)) == [Frame(NAK, 77, bytes((reason, kind)))]


def test_edges_of_regions_are_served(firmware):
    frames = asked(
        firmware(),
        Frame(WRITE, 1, place(INPUT, 300)),
        Frame(WRITE, 2, place(INPUT, 298) + b"yz"),
        Frame(READ, 3, place(INPUT, 297) + b"\x03"),
        Frame(READ, 4, place(INPUT, 300) + b"\x00"),
        Frame(PING, 65535, b""),
        Frame(PING, 6, bytes(64)),
    )
    assert [frame.type for frame in frames] == [0x82, 0x82, 0x83, 0x83, 0x81, 0x81]
    assert frames[2].payload == place(INPUT, 297) + b"\x00yz"
    assert frames[3].payload == place(INPUT, 300)
    assert frames[4:] == [Frame(0x81, 65535, b""), Frame(0x81, 6, bytes(64))]


def test_a_repeated_run_keeps_its_result(firmware):
    """The stub counts 1000 cycles a look: a second run would show in the result's cycles."""
    run = Frame(RUN, 5, struct.pack("<II", 42, zlib.crc32(bytes(300))))
    status = Frame(READ, 6, place(RESULT, 4) + b"\x04")
    before, first, second = asked(firmware(), status, run, run)
    assert struct.unpack("<i", before.payload[5:]) == (-(2**31),)  # no result yet
    assert first == second
    assert first.payload[5:13] == struct.pack("<Ii", 42, 0)


def test_a_text_inference_forgets_the_result(firmware):
    run = encode(Frame(RUN, 5, struct.pack("<II", 42, zlib.crc32(bytes(300)))))
    status = encode(Frame(READ, 6, place(RESULT, 4) + b"\x04"))
    frames = Decoder().feed(talk(firmware(), run + b"infer 1 0%" + status))
    assert struct.unpack("<i", frames[-1].payload[5:]) == (-(2**31),)


CROSS = {
    "gcc": ["arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m4"],
    "zig": [
        *(sys.executable, "-m", "ziglang", "cc", "-target", "thumb-freestanding-eabi"),
        *("-mcpu=cortex_m4", "-fno-sanitize=undefined", "-fno-unwind-tables"),
    ],
}


@pytest.mark.parametrize("compiler", CROSS)
def test_needs_no_library_of_the_compiler(compiler, tmp_path):
    """No 64-bit divide and no float routine: images are linked without libgcc."""
    if shutil.which(CROSS[compiler][0]) is None:
        pytest.skip(f"{CROSS[compiler][0]} is not on PATH")
    command = [*CROSS[compiler], *WARNINGS, "-O2", "-ffreestanding", "-c"]
    command += [f"-I{templates_dir()}", f"-I{DEVICE}", *map(str, runtime_sources())]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr
    for path in tmp_path.glob("*.o"):
        with path.open("rb") as file:
            symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
            names = [s.name for s in symbols if s["st_shndx"] == "SHN_UNDEF"]
        assert not [name for name in names if name.startswith("__") and "stack" not in name]


FRAME_LIKE = st.builds(
    Frame,
    st.sampled_from([0, PING, WRITE, READ, RUN, 5, 0x81, 0xFF]),
    st.integers(0, 65535),
    st.one_of(
        st.binary(max_size=64),
        st.builds(
            lambda region, offset, rest: place(region, offset) + rest,
            st.integers(0, 5),
            st.one_of(st.integers(0, 320), st.integers(0, 2**32 - 1)),
            st.binary(max_size=59),
        ),
    ),
).map(encode)
TEXT_LIKE = st.builds(
    lambda word, rest: word + rest,
    st.sampled_from([b"db load ", b"db ", b"db print", b"infer 1 ", b"name", b"~", b"}", b"%"]),
    st.one_of(st.binary(max_size=90), st.from_regex(rb"[0-9a-f]{1,40}%", fullmatch=True)),
).filter(lambda text: b"infer" not in text)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(chunks=st.lists(st.one_of(FRAME_LIKE, TEXT_LIKE, st.binary(max_size=200)), max_size=30))
def test_noise_never_harms_and_a_ping_gets_through(
    shared_firmware: Callable[..., Path], chunks: list[bytes]
) -> None:
    ping = Frame(PING, 4242, b"still there?")
    out = talk(shared_firmware(), b"".join(chunks) + b"~" + encode(ping))
    assert Decoder().feed(out)[-1] == Frame(0x81, 4242, b"still there?")


@pytest.fixture(scope="session")
def shared_firmware(firmware: Callable[..., Path]) -> Callable[..., Path]:
    return firmware
