"""labgrid by process: it brings a pyserial of its own, which would overwrite edgeq's."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgeq.errors import BadInput, EdgeqError, Link, Toolchain
from edgeq.plain_text import one_line

PROGRAM = "labgrid-client"
VARIABLE = "EDGEQ_LABGRID"
DEADLINE_S = 60.0  # an answer; the coordinator is asked over the network
_INSTALL = (
    "install it in an environment of its own (its pyserial overwrites edgeq's): `uv tool install "
    "labgrid`, `pipx install labgrid`, or `python -m venv ~/labgrid && ~/labgrid/bin/pip install "
    f"labgrid` and --labgrid ~/labgrid (or {VARIABLE})"
)


@dataclass(frozen=True)
class Labgrid:
    """The client, and the coordinator that it shall ask (None: labgrid's own default)."""

    program: str
    coordinator: str | None = None

    def run(self, *words: str, deadline_s: float = DEADLINE_S) -> str:
        """What `labgrid-client WORDS` says.

        Raises Link without a coordinator or in time, BadInput with the client's own words,
        Toolchain when it cannot be started.
        """
        at = () if self.coordinator is None else ("-x", self.coordinator)
        try:
            ended = subprocess.run(
                (self.program, *at, *words),
                capture_output=True,
                timeout=deadline_s,
                check=False,
                stdin=subprocess.DEVNULL,
                env={k: v for k, v in os.environ.items() if k not in _MISLEADING},
                start_new_session=True,  # a Ctrl-C is edgeq's, which has a place to release
            )
        except subprocess.TimeoutExpired:
            raise Link(
                f"{PROGRAM} {' '.join(words)} did not end within {deadline_s:g} s; is the "
                f"coordinator {self.where} well?"
            ) from None
        except OSError as error:
            raise Toolchain(f"{self.program} cannot be run: {error.strerror}; {_INSTALL}") from None
        if ended.returncode == 0:
            return ended.stdout.decode(errors="replace")
        raise self._refused(ended.stderr.decode(errors="replace"))

    @property
    def where(self) -> str:
        """The coordinator's address, as labgrid takes it."""
        return self.coordinator or os.environ.get("LG_COORDINATOR") or "127.0.0.1:20408"

    def _refused(self, said: str) -> EdgeqError:
        if "Could not connect to coordinator" in said or "unavailable" in said:
            return Link(
                f"labgrid's coordinator {self.where} does not answer; start it with "
                "`labgrid-coordinator`, or name another with --coordinator HOST:PORT"
            )
        lines = [line for line in said.splitlines() if line.strip()] or ["nothing"]
        last = lines[-1].removeprefix(f"{PROGRAM}: ").removeprefix("Error: ")
        return BadInput(f"labgrid at {self.where} refuses: {one_line(last)}")


_MISLEADING = frozenset({"PYTHONPATH", "PYTHONHOME", "LG_PLACE", "PLACE", "LG_ENV", "LG_STATE"})


def find_labgrid(given: str | Path | None = None, coordinator: str | None = None) -> Labgrid:
    """The client `given` (the program, or the environment it is in), $EDGEQ_LABGRID's, or PATH's.

    Raises Toolchain with the lines that install it, BadInput for what is no address.
    """
    if coordinator is not None and (not coordinator.strip() or coordinator.startswith("-")):
        raise BadInput(f"--coordinator {coordinator!r} is no address; give HOST:PORT")
    named = given or os.environ.get(VARIABLE)
    if not named:
        found = shutil.which(PROGRAM)
        if found is None:
            raise Toolchain(f"{PROGRAM} is not on PATH; {_INSTALL}")
        return Labgrid(found, coordinator)
    path = Path(named).expanduser()
    for each in (path, path / "bin" / PROGRAM, path / PROGRAM):
        if each.is_file() and os.access(each, os.X_OK):
            return Labgrid(str(each.absolute()), coordinator)
    raise Toolchain(f"{path} is no {PROGRAM} and holds none; {_INSTALL}")
