"""The manifest of a run: the board's word, its file, the build, the model, the data, this host."""

import importlib.metadata
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from edgeq.harness.manifest import (
    FORMAT,
    VERSION,
    Data,
    Firmware,
    Layer,
    Manifest,
    Model,
    ModelPort,
    Session,
)
from edgeq.ports import Ports
from edgeq.reporting.export import layer_name
from edgeq.reporting.profile import Profiled
from edgeq.version import __version__

PACKAGES = ("numpy", "pyarrow", "pyserial", "unicorn")


def run_manifest(
    subject: Profiled, input_shape: Sequence[int], data: Data, samples: int
) -> Manifest:
    """The manifest of a run that starts now, with the one session of this process."""
    board = subject.board
    return Manifest(
        format=FORMAT,
        version=VERSION,
        sessions=(session_of_now(),),
        board=board.model_dump(mode="json") if board else {"name": subject.info.board},
        firmware=_firmware(subject),
        model=Model(
            name=subject.info.model,
            digest=subject.info.model_digest,
            input_shape=tuple(input_shape),
            inputs=_ports(subject.info.inputs),
            outputs=_ports(subject.info.outputs),
            state_bytes=subject.info.state_bytes,
            classes=subject.class_names,
            experts=subject.experts,
            layers=tuple(Layer(name=layer_name(row), op=row.op) for row in subject.layers),
        ),
        data=data,
        samples=samples,
    )


def _ports(ports: Ports) -> tuple[ModelPort, ...]:
    return tuple(ModelPort.model_validate(vars(port)) for port in ports.ports)


def _firmware(subject: Profiled) -> Firmware:
    info, build = subject.info, subject.build
    flags = build.get("flags")
    return Firmware(
        digest=info.firmware_digest,
        protocol_version=info.protocol_version,
        clock_hz=info.clock_hz,
        compiler=build.get("compiler"),
        flags=None if flags is None else tuple(flags),
        flash_bytes=build.get("flash_bytes"),
        ram_bytes=build.get("ram_bytes"),
    )


def session_of_now() -> Session:
    return Session(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=_command(sys.argv),
        edgeq=__version__,
        host={
            "system": platform.platform(),
            "python": platform.python_version(),
            **{n: v for n in PACKAGES if (v := _version(n))},
        },
    )


def _version(package: str) -> str | None:
    """None for one that is not installed: pyarrow is an extra."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _command(arguments: Sequence[str]) -> tuple[str, ...]:
    """As a user would type it: `python -m edgeq` runs a file called __main__.py."""
    program = Path(arguments[0])
    module = program.parent.name if program.name == "__main__.py" else program.name
    return (module, *arguments[1:])
