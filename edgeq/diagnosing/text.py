"""The findings as lines: what is, and under it what to do."""

import textwrap
from collections.abc import Sequence

from rich.text import Text

from edgeq.diagnosing.finding import Finding
from edgeq.plain_text import one_line

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


def doctor_text(findings: Sequence[Finding], columns: int = 1_000) -> Text:
    """One line for each finding, one more where there is a fix, and the count at the end.

    What is longer than `columns` goes on below itself. A fix does not: a command that is broken up
    cannot be copied.
    """
    width = max(len(one_line(finding.id)) for finding in findings)
    text = Text(no_wrap=True, overflow="ignore")
    for finding in findings:
        text.append(f"{finding.status:8}", style=_STYLES[finding.status])
        text.append(_wrapped(f"{one_line(finding.id):{width}}  ", one_line(finding.found), columns))
        if finding.fix is not None:
            text.append(_fix(one_line(finding.fix), width + 10, columns), style="bold")
    errors = sum(finding.status == "error" for finding in findings)
    warnings = sum(finding.status == "warning" for finding in findings)
    text.append(f"\n{len(findings)} findings: {errors} errors, {warnings} warnings")
    return text


def _wrapped(name: str, found: str, columns: int) -> str:
    """Broken between words; what has no space (a path) stays whole, on a line of its own."""
    room = max(columns - 8 - len(name), 20)
    lines = textwrap.wrap(found, room, break_long_words=False, break_on_hyphens=False)
    margin = " " * (8 + len(name))
    return name + f"\n{margin}".join(lines or [""]) + "\n"


def _fix(fix: str, margin: int, columns: int) -> str:
    """Below what was found, or further left where that makes room for it."""
    left = margin if margin + len(f"fix: {fix}") <= columns else 8
    return f"{'':{left}}fix: {fix}\n"
