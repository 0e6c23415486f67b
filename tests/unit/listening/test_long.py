"""The script of the long recording, in small: resumed, damaged, held to the reference."""

from pathlib import Path

import pytest

from edgeq.listening.figures import by_own_clock
from tests.long_listening import Case, exported, heard, judged, so_far

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("long") / "export")


def test_a_recording_in_parts_is_the_references(folder: Path, tmp_path: Path) -> None:
    """A cut part is done again, its inferences to the cycle, and the others are kept; frames have
    another number, so that the guest has other bytes to stuff.
    """
    case = Case("small", 6.2)
    parts = heard(case, folder, tmp_path, 2.048)
    facts = judged(folder, case, parts)
    assert (facts["hops"], len(parts)) == (12, 3)
    assert (facts["events_equal"], facts["answers_differ"]) == (True, 0)
    assert (facts["overruns"], facts["behind_s"]) == (0, 0.0)
    assert facts["events"] >= 3
    file = tmp_path / "small.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(lines[0] + lines[1][:200])
    again = heard(case, folder, tmp_path, 2.048)
    assert file.read_text().startswith(lines[0])
    ours, before = ([a[:3] for p in each for a in p["answers"]] for each in (again, parts))
    assert ours == before
    assert so_far(case, folder, tmp_path)[0].seconds == pytest.approx(12 * 0.512)


def test_a_line_that_damages_changes_nothing(folder: Path, tmp_path: Path) -> None:
    case = Case("hurt", 3.1, 0.002)
    facts = judged(folder, case, heard(case, folder, tmp_path))
    assert facts["link"]["retries"] > 0
    assert (facts["events_equal"], facts["answers_differ"], facts["overruns"]) == (True, 0, 0)


def test_another_answer_is_seen(folder: Path, tmp_path: Path) -> None:
    case = Case("wrong", 3.1)
    parts = heard(case, folder, tmp_path)
    codes = parts[0]["answers"][4][0]
    codes[:] = codes[1:] + codes[:1]
    parts[0]["answers"][4][3] = 10**9
    facts = judged(folder, case, parts)
    assert (facts["events_equal"], facts["answers_differ"]) == (False, 1)
    assert facts["overruns"] > 0
    assert by_own_clock([0.5, 0.5], 1.0) == (0, 0.0)


def test_three_minutes(folder: Path, tmp_path: Path) -> None:
    case = Case("three minutes", 180.0)
    facts = judged(folder, case, heard(case, folder, tmp_path))
    assert (facts["events_equal"], facts["overruns"], facts["behind_s"]) == (True, 0, 0.0)
