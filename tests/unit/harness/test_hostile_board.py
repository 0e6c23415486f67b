"""A board that chooses its name to harm the user: the real runtime, compiled with that name."""

import shlex
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from lossy_line import LossyLine

from edgeq.errors import Link
from edgeq.expected_board import check_board
from edgeq.harness import link
from tests.hang import HANG_S

NAMES = ("x; touch F #", "`touch F`", "$(touch F)", "'; touch F '")


@pytest.mark.parametrize("name", NAMES)
def test_case_24_a_command_with_a_boards_name_is_one_command(
    board: Callable[..., Any], name: str
) -> None:
    literal = "".join(f"\\{ord(c):03o}" for c in name)
    device = board(f'-DEDGEQ_BOARD_NAME="{literal}"')
    with closing(LossyLine(device.master)) as line, link.BoardLink.open(line.path, HANG_S) as here:
        info = here.info()
    assert info.board == name
    report: dict[str, Any] = {"model_digest": "another"}
    with pytest.raises(Link, match="edgeq flash") as error:
        check_board(info, report, None, (), "my folder")  # type: ignore[arg-type]
    told = str(error.value)
    assert told.isprintable()
    words = shlex.split(told.partition("run `")[2].rpartition("`, or name")[0])
    assert words[:3] == ["edgeq", "flash", "--board"]
    assert words[4:] == ["--firmware", "my folder"], "the name is one word"
