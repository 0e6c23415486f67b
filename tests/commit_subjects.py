"""Subjects of the commits since this was asked: `area: what changed`, 72 characters, and why.

Run by `make check`. Exits with 1 and the commits that should be reworded.
"""

import re
import subprocess
import sys

SINCE = "9e189c3"  # those before were written before the rule
LONGEST = 72


def fault(subject: str, body: str) -> str | None:
    """What is wrong with a message; None for a good one."""
    if subject.startswith(("Merge ", "Revert ")):
        return None
    if len(subject) > LONGEST:
        return f"subject of {len(subject)} characters, at most {LONGEST}"
    if not re.match(r"[A-Za-z0-9_./ -]+: \S", subject):
        return "subject is not `area: what changed`"
    return None if body.strip() else "no body that says why"


def main() -> int:
    log = subprocess.run(
        ["git", "log", f"{SINCE}..HEAD", "--format=%h%x1f%s%x1f%b%x1e"],
        capture_output=True,
        text=True,
        check=False,
    )
    if log.returncode != 0:
        print(f"commit subjects not checked: {log.stderr.strip()}")
        return 0
    commits = [
        entry.strip("\n").split("\x1f") for entry in log.stdout.split("\x1e") if entry.strip()
    ]
    faults = [(name, subject, fault(subject, body)) for name, subject, body in commits]
    for name, subject, why in faults:
        if why:
            print(f"{name} {subject}: {why}")
    return int(any(why for *_, why in faults))


if __name__ == "__main__":
    sys.exit(main())
