"""The findings as lines: what is, and under it what to do."""

from collections.abc import Sequence

from rich.text import Text

from edgeq.diagnosing.finding import Finding
from edgeq.plain_text import one_line

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


def doctor_text(findings: Sequence[Finding]) -> Text:
    """One line for each finding, one more where there is a fix, and the count at the end."""
    width = max(len(one_line(finding.id)) for finding in findings)
    text = Text(no_wrap=True, overflow="ignore")  # a command that is broken up cannot be copied
    for finding in findings:
        text.append(f"{finding.status:8}", style=_STYLES[finding.status])
        text.append(f"{one_line(finding.id):{width}}  {one_line(finding.found)}\n")
        if finding.fix is not None:
            text.append(f"{'':{width + 10}}fix: {one_line(finding.fix)}\n", style="bold")
    errors = sum(finding.status == "error" for finding in findings)
    warnings = sum(finding.status == "warning" for finding in findings)
    text.append(f"\n{len(findings)} findings: {errors} errors, {warnings} warnings")
    return text
