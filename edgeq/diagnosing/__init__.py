"""Looks over this computer: what edgeq needs to build, flash and measure, and what is amiss."""

from collections.abc import Callable, Sequence
from typing import Any

from edgeq.diagnosing.finding import Finding
from edgeq.errors import Link, Toolchain

__all__ = ["Finding", "examine", "examine_json", "refuse_errors"]

_LINK_AREAS = frozenset({"port", "probes", "meters", "emulated_boards"})


def examine(port: str | None = None) -> tuple[Finding, ...]:
    """Every finding, in the order to read them. `port` is looked at beside the attached ones.

    Starts the tools it finds (for their version) and compiles one line; loads nothing heavy.
    """
    return (*_packages(), *_part("tools", _tools), *_part("access", lambda: _access(port)))


def _packages() -> list[Finding]:
    from edgeq.diagnosing.packages import packages

    return packages()


def _tools() -> list[Finding]:
    from edgeq.diagnosing.tools import compilers, programs

    return [*compilers(), *programs()]


def _access(port: str | None) -> list[Finding]:
    from edgeq.diagnosing.access import access

    return access(port)


def _part(name: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """A part that a missing package keeps from being looked at is a finding, not the end."""
    try:
        return look()
    except ImportError as error:
        return [Finding(name, "error", f"cannot be looked at: {error}", "see its package above")]


def examine_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """{findings: [{id, status, found, fix}], errors, warnings}."""
    return {
        "findings": [
            {"id": f.id, "status": f.status, "found": f.found, "fix": f.fix} for f in findings
        ],
        "errors": sum(f.status == "error" for f in findings),
        "warnings": sum(f.status == "warning" for f in findings),
    }


def refuse_errors(findings: Sequence[Finding]) -> None:
    """Link when only ports and devices are at fault, Toolchain for other errors."""
    wrong = [finding.id for finding in findings if finding.status == "error"]
    if not wrong:
        return
    message = f"{', '.join(wrong)}: see the fix of each above"
    if all(name.partition(".")[0] in _LINK_AREAS for name in wrong):
        raise Link(message)
    raise Toolchain(message)
