"""Budgets in a user's units, and the sentence of one that no plan meets."""

import re

import pytest

from edgeq.board import load_board
from edgeq.errors import BadInput
from edgeq.planning.limits import Allowed, read_bytes
from edgeq.planning.program import Choice, Costs
from edgeq.planning.widths import read_widths

BOARD = load_board("nucleo_l4r5zi")


def costs() -> Costs:
    """Narrow is small and slow, wide is large and fast."""
    narrow, wide = Choice(240_000, 1000, 4000, 1.0), Choice(120_000, 9000, 4000, 0.0)
    return Costs({"a": {"int4": narrow, "int8": wide}})


@pytest.mark.parametrize(
    ("text", "bytes"), [("128KB", 131072), ("1 MB", 1 << 20), ("100B", 100), ("1.5KiB", 1536)]
)
def test_sizes_are_read(text: str, bytes: int) -> None:
    assert read_bytes("--max-flash", text) == bytes


@pytest.mark.parametrize("text", ["128", "KB", "0KB", "-1KB", "1e9MB", "nanB", "128 kb", ""])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"--max-flash .*such as 128KB"):
        read_bytes("--max-flash", text)


def test_the_board_is_a_budget_of_its_own() -> None:
    limits = Allowed.read("2ms", None, "9MB", None).limits(BOARD)
    assert limits.cycles == pytest.approx(0.002 * BOARD.clock_hz)
    assert (limits.flash_bytes, limits.ram_bytes) == (BOARD.flash.bytes, BOARD.ram.bytes)


def test_energy_is_limited_at_the_upper_end_of_its_band() -> None:
    assert BOARD.energy is not None
    limits = Allowed.read(None, "1mJ", None, None).limits(BOARD)
    assert limits.cycles == pytest.approx(1e-3 / (BOARD.energy.nj_per_cycle_high * 1e-9))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("0.5ms", None, None, None), "--max-latency is 0.5 ms, the least that would do is 1 ms"),
        ((None, "1uJ", None, None), "--max-energy is 0.001 mJ, the least that would do is 0.05"),
        ((None, None, "500B", None), "--max-flash is 500 B of flash, the least .* is 1,000 B"),
        ((None, None, None, "1KB"), "--max-ram is 1,024 B of RAM, the least .* is 4,000 B"),
        (
            ("1.5ms", None, "8KB", None),
            "the other budgets held: --max-latency is 1.5 ms, .* 2 ms.*--max-flash .* 9,000 B",
        ),
    ],
)
def test_the_binding_budget_is_named_with_the_least_that_would_do(
    asked: tuple[str | None, ...], says: str
) -> None:
    allowed = Allowed.read(*asked)
    said = allowed.unmeetable(costs(), allowed.limits(BOARD), BOARD)
    assert re.search(says, said), said


def test_widths_are_sorted_and_each_stands_once() -> None:
    assert read_widths("8, 1.58,int4,4,1") == ("int1", "ternary", "int4", "int8")
    for text in ("", "4,", "17", "float", "ptq", "-1"):
        with pytest.raises(BadInput, match=r"is no width; give some of 1, 1\.58, 2 to 16"):
            read_widths(text)
