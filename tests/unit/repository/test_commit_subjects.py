"""The check of commit messages finds what it is for."""

import pytest

from tests.commit_subjects import LONGEST, fault

WHY = "Because it was so."


@pytest.mark.parametrize(
    ("subject", "body", "word"),
    [
        ("nn: " + "x" * LONGEST, WHY, "characters"),
        ("Fix stuff", WHY, "area"),
        ("nn:no space", WHY, "area"),
        ("nn: what", " \n", "why"),
    ],
)
def test_a_poor_message_is_told(subject: str, body: str, word: str) -> None:
    assert word in str(fault(subject, body))


@pytest.mark.parametrize("subject", ["nn: what", "tests/kernels: what", "Merge branch 'x'"])
def test_a_good_one_passes(subject: str) -> None:
    assert fault(subject, WHY) is None
