"""`python -m tests.farm_transcript`: the commands of docs/farm.md, run, into the page.

labgrid's own coordinator and exporter, three virtual boards; one of them dies while it profiles.
"""

import os
import re
import shlex
import signal
import sys
import tempfile
import threading
from pathlib import Path

from edgeq.flashers import running
from tests.acceptance.test_farm import Shelf, begun, installed, shelf_in, until

PAGE = Path(__file__).parents[1] / "docs" / "farm.md"
MARKED = re.compile(r"(?<=<!-- transcript -->\n).*(?=<!-- /transcript -->)", re.DOTALL)
SAMPLES = 400


def said(shelf: Shelf, user: str, line: str) -> str:
    """The command as typed, and what it said."""
    program, *words = shlex.split(line)
    run = shelf.edgeq if program == "edgeq" else shelf.client
    ended = run(user, *words)
    code = f"(exit code {ended.returncode})\n" if ended.returncode else ""
    return f"{user}$ {line}\n{ended.stderr}{ended.stdout.rstrip()}\n{code}"


def kill_the_first_board(shelf: Shelf) -> None:
    until(lambda: bool(begun(shelf, "one")), "the first cell does not begin")
    os.kill(running()[0].pid, signal.SIGKILL)


def main() -> None:
    """Writes the page between its marks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"XDG_RUNTIME_DIR": name, "PYTHONPATH": str(PAGE.parents[1])}
        os.environ["COLUMNS"] = "80"
        programs = installed()
        with shelf_in(folder, programs, SAMPLES) as shelf:
            lines = [
                said(shelf, "bob", "labgrid-client -p bench-a acquire"),
                said(shelf, "alice", "edgeq farm list"),
                said(shelf, "alice", "edgeq profile --place bench-a --firmware tiny"),
            ]
            killer = threading.Thread(target=kill_the_first_board, args=(shelf,))
            killer.start()
            lines.append(said(shelf, "alice", "edgeq farm run matrix.toml --out out"))
            killer.join()
            lines.append(said(shelf, "alice", "edgeq farm list"))
        text = "\n".join(lines).replace(name, "FOLDER").replace(str(programs), "~/labgrid/bin")
        text = "\n".join(line.rstrip() for line in text.splitlines())
        text = f"```text\n{text}\n```\n"
    PAGE.write_text(MARKED.sub(lambda _: text, PAGE.read_text()))


if __name__ == "__main__":
    sys.exit(main())
