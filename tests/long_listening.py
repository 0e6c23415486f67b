"""An hour of sound through the virtual board, into docs/listen.md: python -m tests.long_listening.

Each case is heard in parts; what is done stands in build/long_listening, and a script that is run
again goes on from there. A part begins with the hops that fill the model's window, so that all of
them together are one recording. Every answer is held to the reference's of the whole.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.io import wavfile

import edgeq
from edgeq import nn
from edgeq.board import load_board
from edgeq.export_folder import GRAPH
from edgeq.harness.exchange import LinkStatistics
from edgeq.harness.link import BoardLink
from edgeq.ir.ports import inputs_of
from edgeq.listening.events import Ear, Event, Heard
from edgeq.listening.figures import by_own_clock
from edgeq.listening.hearing import Hearing, hearing_of
from edgeq.passes.stored_graph import stored_graph
from edgeq.reference import numbers
from edgeq.reporting.markdown import commit_of, write_table
from tests.guest_serial import GuestSerial

ROOT = Path(__file__).parents[1]
PAGE, RECORD = ROOT / "docs" / "listen.md", ROOT / "docs" / "measured" / "listening.json"
WORK = ROOT / "build" / "long_listening"
RATE, FRAME, FRAMES = 1000, 128, 4
NAMES = ["quiet", "hum", "whine"]
TONES_HZ = (0.0, 60.0, 300.0)
PART_S = 60.0
SEED = 16


@dataclass(frozen=True)
class Case:
    """`damage`: the share of bytes on the line that is lost, flipped or doubled."""

    name: str
    seconds: float
    damage: float = 0.0


CASES = (
    Case("clean", 3600.0),
    Case("1 % of frames damaged", 3600.0, 0.01 / 90),  # bytes of a frame and its answer
    Case("1 % of bytes damaged", 180.0, 0.01),
)


def tones(which: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sound (samples,) float32 in [-1, 1) of one class a sample, in noise."""
    time_s = np.arange(len(which)) / RATE
    hz = np.array(TONES_HZ)[which]
    tone = np.where(which > 0, 0.3 * np.sin(2 * np.pi * hz * time_s), 0.0)
    return (tone + rng.normal(0, 0.01, len(which))).astype(np.float32)


def recording(seconds: float) -> np.ndarray:
    """Turns of half a second to three seconds of one class each; a longer one begins alike."""
    rng, turns, held = np.random.default_rng(SEED), list[np.ndarray](), 0
    while held < seconds * RATE:
        length = int(rng.uniform(0.5, 3.0) * RATE)
        which = np.full(length, rng.integers(0, len(NAMES)))
        turns.append(tones(which, rng))
        held += length
    steps = np.round(np.concatenate(turns)[: round(seconds * RATE)] * 2**15)
    return (steps / 2**15).astype(np.float32)


def model() -> nn.Model:
    """8 mel bands of four frames, and a layer of 8-bit weights; seconds of training."""
    torch.manual_seed(SEED)
    rng, samples = np.random.default_rng(SEED), FRAME * FRAMES
    y = rng.integers(0, len(NAMES), 300)
    x = np.stack([tones(np.full(samples, which), rng) for which in y])[:, None]
    front = nn.LogMel(RATE, window=FRAME, hop=FRAME, fft=256, mels=8, mean=-3.0, std=3.0)
    body = nn.Sequential(front, nn.Flatten(), nn.Linear(8 * FRAMES, len(NAMES), "int8"))
    made = nn.Model(body, (1, samples), name="ears", calibration=x, class_names=NAMES)
    steps, given = torch.optim.Adam(made.parameters(), 0.02), torch.tensor(x)
    for _ in range(120):
        steps.zero_grad()
        torch.nn.functional.cross_entropy(made(given), torch.tensor(y)).backward()
        steps.step()
    return made


def exported(folder: Path) -> Path:
    """The folder of the model's export, built for the virtual board."""
    if not (folder / "export.json").is_file():
        edgeq.export(model(), "virtual_m4", folder, stream=f"hop={4 * FRAME}")
    edgeq.build("virtual_m4", folder)
    return folder


def heard_part(
    serial: GuestSerial, link: BoardLink, hearing: Hearing, rows: np.ndarray, at: int, to: int
) -> list[Any]:
    """[codes, route, cycles of the inference, cycles of the guest from the row before] of the rows
    `at` to `to`; those that fill the window go before.
    """
    inputs, found = inputs_of(hearing.graph), list[Any]()
    link.reset()
    before = serial.cycles
    for index in range(max(0, at - hearing.first), to):
        result = link.infer(index, inputs.pack(rows[index]))
        if index >= at:
            busy = serial.cycles - before
            found.append([result.output.tolist(), result.route, result.cycles, busy])
        before = serial.cycles
    return found


def done(case: Case, work: Path) -> tuple[Path, list[str]]:
    """The file of a case, and its whole lines: a part each; one that was cut is done again."""
    file = work / f"{case.name.replace(' ', '_')}.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    return file, [line for line in lines if line.endswith("\n")]


def so_far(case: Case, folder: Path, work: Path) -> tuple[Case, list[dict[str, Any]]]:
    """The case as long as it was heard, and its parts."""
    parts = [json.loads(line) for line in done(case, work)[1]]
    hearing = hearing_of(stored_graph(folder / GRAPH), None)
    hops = sum(len(part["answers"]) for part in parts)
    return replace(case, seconds=hops * hearing.hop_s), parts


def heard(case: Case, folder: Path, work: Path, part_s: float = PART_S) -> list[dict[str, Any]]:
    """The parts of a case, those that `work` holds and those that it lacks, which join it."""
    hearing = hearing_of(stored_graph(folder / GRAPH), None)
    rows = np.concatenate(list(hearing.rows(recording(case.seconds))))
    file, lines = done(case, work)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(lines))
    parts = [json.loads(line) for line in lines]
    each = round(part_s / hearing.hop_s)
    for at in range(len(parts) * each, len(rows), each):
        began, used = time.monotonic(), _cpu()
        serial = GuestSerial(folder / "build" / "virtual_m4" / "firmware.elf", case.damage, at)
        with serial.link() as link:
            found = heard_part(serial, link, hearing, rows, at, min(len(rows), at + each))
        part = {"answers": found, "link": vars(link.statistics)}
        part |= {"wall_s": time.monotonic() - began, "cpu_s": _cpu() - used}
        with file.open("a") as out:
            out.write(json.dumps(part) + "\n")
        parts.append(part)
        print(f"{case.name}: {at + len(found)} of {len(rows)} hops", file=sys.stderr)
    return parts


def _cpu() -> float:
    """Seconds of this process, in which the board runs too."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def events(hearing: Hearing, answers: Sequence[Any]) -> list[Event]:
    """What an ear makes of [codes, route, ...] of every row; cycles and latency left out."""
    ear, found = Ear(NAMES, 0.5), list[Event]()
    for index, (codes, route, *_) in enumerate(answers):
        if index >= hearing.first:
            scores = hearing.scores(np.array(codes, np.int8))
            found += ear.hear(Heard(index, hearing.heard_s(index), scores, route, 0.0, 0, 0.0))
    return found


def judged(folder: Path, case: Case, parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The facts of a case, held to the reference."""
    hearing = hearing_of(stored_graph(folder / GRAPH), None)
    rows = np.concatenate(list(hearing.rows(recording(case.seconds))))
    answers = [answer for part in parts for answer in part["answers"]]
    assert len(answers) == len(rows), "the work folder holds another recording; remove it"
    wanted = [[list(codes), route] for codes, route, _ in numbers(hearing.graph, rows)]
    first, pairs = hearing.first, list(zip(answers, wanted, strict=True))
    ours, theirs = events(hearing, answers), events(hearing, wanted)
    clock_hz = load_board("virtual_m4").clock_hz
    busy = [a[3] for a in answers]
    late, behind_s = by_own_clock([cycles / clock_hz for cycles in busy], hearing.hop_s)
    link = {key: sum(part["link"][key] for part in parts) for key in vars(LinkStatistics())}
    return {
        "case": case.name,
        "seconds": len(rows) * hearing.hop_s,
        "hops": len(rows),
        "hop_s": hearing.hop_s,
        "events": len(ours),
        "events_equal": ours == theirs,
        "answers_differ": sum(a[:2] != w for a, w in pairs[first:]),
        "overruns": late,
        "behind_s": behind_s,
        "worst_infer_cycles": max(a[2] for a in answers),
        "worst_hop_cycles": max(busy),
        "busy_share": sum(busy) / clock_hz / (len(rows) * hearing.hop_s),
        "link": link,
        "cpu_s": sum(part["cpu_s"] for part in parts),
        "wall_s": sum(part["wall_s"] for part in parts),
    }


def table(record: dict[str, Any]) -> str:
    """Markdown."""
    rows = [
        "| line | sound | hops | events | answers that differ | overruns, behind at the end | "
        "worst inference, worst hop with its frames, cycles | busy | frames damaged, requests "
        "repeated | CPU |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in record["cases"]:
        equal = "equal" if each["events_equal"] else "**other**"
        link = each["link"]
        rows.append(
            f"| {each['case']} | {each['seconds'] / 60:,.0f} min | {each['hops']:,} | "
            f"{each['events']:,}, {equal} | {each['answers_differ']} | {each['overruns']}, "
            f"{each['behind_s']:g} s | {each['worst_infer_cycles']:,}, "
            f"{each['worst_hop_cycles']:,} | {each['busy_share']:.2%} | "
            f"{link['crc_errors']:,}, {link['retries']:,} | {each['cpu_s'] / 60:,.1f} min |"
        )
    told = f"Commit {record['commit']}; virtual_m4, modelled; {record['compiler']}."
    return "\n".join([*rows, "", told])


def transcript(folder: Path) -> str:
    """What `edgeq listen` says of eight seconds of it, as a stereo file of another rate."""
    given = recording(8.0)
    wide = np.repeat(given, 8)  # held for eight samples: what listen resamples again
    wavfile.write(WORK / "street.wav", 8 * RATE, np.stack([wide, wide], axis=1))
    flashed = edgeq.flash("virtual_m4", folder)
    words = ["listen", "--wav", "street.wav", "--log", "events.csv"]
    (WORK / "events.csv").unlink(missing_ok=True)
    try:
        where = ["--port", flashed["port"], "--firmware", str(folder)]
        ran = subprocess.run(
            [sys.executable, "-m", "edgeq", *words, *where], cwd=WORK, text=True, check=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    finally:
        edgeq.stop(flashed["port"])
    return f"```\n$ edgeq {' '.join(words)}\n{ran.stdout.rstrip()}\n```"


def main() -> None:
    """Hears every case, or goes on; writes the record and the page's table."""
    line = argparse.ArgumentParser(description=__doc__)
    line.add_argument("--case", action="append", help="Only this one; may be given again.")
    line.add_argument("--done", action="store_true", help="What was heard so far, nothing more.")
    asked, only_done = line.parse_args().case, line.parse_args().done
    folder, record = exported(WORK / "export"), list[dict[str, Any]]()
    for case in CASES:
        if asked is None or case.name in asked:
            if not only_done:
                heard(case, folder, WORK)
            if done(case, WORK)[1]:
                record.append(judged(folder, *so_far(case, folder, WORK)))
    facts = json.loads((folder / "build" / "virtual_m4" / "firmware.json").read_text())
    whole = {"commit": commit_of(ROOT), "compiler": facts["compiler"], "cases": record}
    RECORD.write_text(json.dumps(whole, indent=1) + "\n")
    write_table(PAGE, table(whole), "listening")
    write_table(PAGE, transcript(folder), "transcript")


if __name__ == "__main__":
    main()
