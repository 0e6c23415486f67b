"""`python -m edgeq.sim firmware.elf --board virtual_m4 --pty`: serve a firmware until a signal.

The first line on standard output is final and names the port; the cycles and instructions follow
and cycles by function and by instruction class at the end. With --json both lines are JSON
objects: {"port", "pid", "board", "link"} and {"reason", "exit_code", "cycles", "instructions",
"functions", "classes", "class_cycles", "rules", "flash_model", "evidence"} and, with --sound,
{"sound_s", "heard_s"}. What the firmware
prints by semihosting goes to standard error; its exit code, if it gives one, is this program's.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from edgeq.errors import BadInput, EdgeqError
from edgeq.interrupts import signals_call
from edgeq.sim.config import VIRTUAL_M4, MachineConfig
from edgeq.sim.cores import CORES, CoreModel

if TYPE_CHECKING:
    from edgeq.sim.any_machine import AnyMachine
    from edgeq.sim.port import DescriptorPort
    from edgeq.sim.profile import Profile
    from edgeq.sim.tcp_port import TcpPort
    from edgeq.sim.wav_file import Playback

HALF_CYCLES_PER_CYCLE = 2
FLASH: dict[str, dict[str, Any]] = {
    "firmware": {},
    "board": {"flash_from": "board"},
    "none": {"flash_cache": None},
}
SHOWN = 20  # functions in the text; --json has them all


def parser() -> argparse.ArgumentParser:
    """The command line of the simulator."""
    line = argparse.ArgumentParser(prog="python -m edgeq.sim", description=__doc__)
    line.add_argument("firmware", nargs="?", type=Path, help="bare-metal ELF")
    line.add_argument("--board", help="board to model (default virtual_m4)")
    wire = line.add_mutually_exclusive_group()
    wire.add_argument("--pty", action="store_true", help="serial port on a pseudo-terminal")
    wire.add_argument("--tcp", metavar="HOST:PORT", help="serial port behind a TCP port, one host")
    wire.add_argument("--stdio", action="store_true", help="serial port on standard in and out")
    line.add_argument("--link", type=Path, help="symbolic link to the pseudo-terminal")
    line.add_argument(
        "--flash",
        choices=("firmware", "board", "none"),
        default="firmware",
        help="wait states and caches: as the firmware sets them, as the board file says, or none",
    )
    line.add_argument(
        "--faults",
        choices=("report", "handler"),
        default="report",
        help="a fault ends the run with a report, or reaches the firmware's own handler",
    )
    line.add_argument(
        "--marker", type=Path, metavar="FILE", help="the marker pin's edges, a JSON object a line"
    )
    line.add_argument(
        "--sound", type=Path, metavar="WAV", help="what the board's microphone hears, then silence"
    )
    line.add_argument("--max-cycles", type=int, help="end with an error after so many cycles")
    line.add_argument("--deadline", type=float, help="end with an error after so many seconds")
    line.add_argument("--rules", choices=sorted(CORES), help="print the price of every class")
    line.add_argument("--json", action="store_true", help="machine-readable output")
    return line


def config_of(name: str | None) -> MachineConfig:
    """The board called `name`; virtual_m4, the default, is built in and needs no board file."""
    if name in (None, VIRTUAL_M4.name):
        return VIRTUAL_M4
    from edgeq.board import load_board  # not paid for by a plain run

    return MachineConfig.of(load_board(name))


def print_rules(core: CoreModel, board: str | None, as_json: bool) -> None:
    """Cycles per timing class; without a board the core alone. BadInput if it has another core."""
    extra = 0
    if board is not None:
        config = config_of(board)
        if config.core != core.name:
            raise BadInput(f"{board} has a {config.core}, not a {core.name}: ask for its own rules")
        extra = config.first_load_extra
    table = core.prices(extra)
    prices = {name: half / HALF_CYCLES_PER_CYCLE for name, half in table.items()}
    if as_json:
        print(json.dumps({"rules": core.rules_version, "board": board, "prices": prices}))
        return
    for name, cycles in prices.items():
        print(f"{name:8} {cycles:g}")


def serve(options: argparse.Namespace) -> int:
    """Run the firmware until a signal, the end of its input, or its own end."""
    from edgeq.sim.any_machine import machine_of
    from edgeq.sim.machine import Machine
    from edgeq.sim.marker_file import MarkerFile

    out = sys.stderr if options.stdio else sys.stdout  # the serial bytes own standard output
    config = dataclasses.replace(config_of(options.board), faults=options.faults)
    config = dataclasses.replace(config, **FLASH[options.flash])
    edges = contextlib.nullcontext() if options.marker is None else MarkerFile(options.marker)
    playback = _playback(options.sound, config)
    port = _wire(options)
    machine = machine_of(config, port, _to_standard_error)
    if playback is not None and isinstance(machine, Machine):
        machine.hear(playback)
    if isinstance(edges, MarkerFile):
        machine.on_marker(edges.edge)
    ends = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    try:
        with edges, signals_call(machine.stop, ends, port.waker):
            machine.load(options.firmware)
            _announce(getattr(port, "path", "stdio"), config, options, out)
            result = machine.run(deadline_s=options.deadline, max_cycles=options.max_cycles)
            profile = machine.profile()
    finally:
        port.close()
    facts = _summary(machine, profile) | {"reason": result.reason, "exit_code": result.exit_code}
    if playback is not None:
        facts |= {"sound_s": playback.seconds, "heard_s": playback.heard_s}
    _say(out, options.json, facts)
    return result.exit_code & 0xFF


def _playback(path: Path | None, config: MachineConfig) -> "Playback | None":
    """What the microphone hears; what was changed of the file is said on standard error."""
    if path is None:
        return None
    from edgeq.sim.wav_file import Playback

    playback = Playback.of(path, config.name, config.family)
    for said in playback.said:
        print(f"sound: {said}", file=sys.stderr)
    return playback


def _wire(options: argparse.Namespace) -> "DescriptorPort | TcpPort":
    from edgeq.sim.port import PtyPort, StdioPort
    from edgeq.sim.tcp_port import TcpPort

    if options.tcp is not None:
        return TcpPort(options.tcp)
    return StdioPort() if options.stdio else PtyPort(options.link)


def _to_standard_error(text: bytes) -> None:
    sys.stderr.write(text.decode("utf-8", "backslashreplace"))
    sys.stderr.flush()


def _announce(port: str, config: MachineConfig, options: argparse.Namespace, out: TextIO) -> None:
    link = str(options.link) if options.link else None
    facts = {"port": port, "pid": os.getpid(), "board": config.name, "link": link}
    print(json.dumps(facts) if options.json else port, file=out, flush=True)


def _summary(machine: "AnyMachine", profile: "Profile") -> dict[str, Any]:
    return {
        "cycles": profile.cycles,
        "instructions": profile.instructions,
        "functions": profile.functions,
        "classes": profile.classes,
        "class_cycles": profile.class_cycles,
        "rules": machine.core.rules_version,
        "flash_model": machine.flash_model,
        "evidence": "modelled",
    }


def _say(out: TextIO, as_json: bool, facts: dict[str, Any]) -> None:
    try:
        print(json.dumps(facts) if as_json else _text(facts), file=out, flush=True)
    except BrokenPipeError:  # whoever started us is gone; the run itself went well
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def _text(facts: dict[str, Any]) -> str:
    lines = [
        f"{facts['reason']}: {facts['cycles']} cycles (modelled, {facts['rules']}), "
        f"{facts['instructions']} instructions",
        f"flash: {facts['flash_model']}",
        *_sound_lines(facts),
        "cycles by function:",
        *(f"{cycles:14.1f}  {name}" for name, cycles in list(facts["functions"].items())[:SHOWN]),
        "cycles by instruction class:",
        *(
            f"{cycles:14.1f}  {name:8} {facts['classes'].get(name, 0)} times"
            for name, cycles in facts["class_cycles"].items()
        ),
    ]
    return "\n".join(lines)


def _sound_lines(facts: dict[str, Any]) -> list[str]:
    if "sound_s" not in facts:
        return []
    return [f"sound: {facts['heard_s']:.3f} of {facts['sound_s']:.3f} s heard"]


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code of EdgeqError and its children."""
    options = parser().parse_args(arguments)
    try:
        if options.rules:
            print_rules(CORES[options.rules], options.board, options.json)
            return 0
        if options.firmware is None:
            raise BadInput("which firmware? give the path of an ELF file, or --rules with a core")
        return serve(options)
    except EdgeqError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
