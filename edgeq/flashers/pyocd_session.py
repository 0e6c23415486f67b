"""`python -m edgeq.flashers.pyocd_session`: writes an ELF through pyOCD's Python API.

A process of its own, because neither a hung probe nor libusb can be stopped inside ours. Progress
goes to standard output; one line on standard error says why it failed.
"""

import argparse
import sys
from pathlib import Path

NO_PROBE = "no debug probe"
UNKNOWN_PART = "not recognized"


def knows(target: str) -> bool:
    """True if this pyOCD has `target`, built in or from a pack that is installed."""
    from pyocd.target.builtin import BUILTIN_TARGETS
    from pyocd.target.pack.pack_target import ManagedPacks

    if target in BUILTIN_TARGETS:
        return True
    return any(part.part_number.lower() == target for part in ManagedPacks.get_installed_targets())


def program(elf: Path, target: str, number: str | None) -> str | None:
    """Writes `elf` through the probe of that serial number, or the only one, and resets the chip.

    None when it did, else why not.
    """
    if not knows(target):
        return f"target {target} is {UNKNOWN_PART}: its pack is not installed"
    from pyocd.core.exceptions import Error
    from pyocd.core.helpers import ConnectHelper
    from pyocd.flash.file_programmer import FileProgrammer

    probes = ConnectHelper.get_all_connected_probes(blocking=False, unique_id=number)
    if not probes:
        wanted = f" of serial number {number}" if number else ""
        return (
            f"{NO_PROBE}{wanted} is connected: plug the board in; `edgeq doctor` tells whether "
            "this user may open it"
        )
    if len(probes) > 1:
        listed = ", ".join(f"{probe.description} ({probe.unique_id})" for probe in probes)
        return f"several probes are connected: {listed}; name one with --probe"
    try:
        options = {"target_override": target}
        with ConnectHelper.session_with_chosen_probe(
            blocking=False, return_first=True, unique_id=number, options=options
        ) as session:
            FileProgrammer(session, progress=_show).program(str(elf), file_format="elf")
            session.target.reset()
    except (Error, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _show(done: float) -> None:
    print(f"writing {int(100 * done)} %", flush=True)


def main() -> int:
    """0 when the chip runs what was written."""
    parser = argparse.ArgumentParser(prog="edgeq.flashers.pyocd_session")
    parser.add_argument("--target", required=True)
    parser.add_argument("--uid")
    parser.add_argument("elf", type=Path)
    given = parser.parse_args()
    why = program(given.elf, given.target, given.uid)
    if why is not None:
        print(f"pyocd: {why}", file=sys.stderr)
    return 0 if why is None else 1


if __name__ == "__main__":
    sys.exit(main())
