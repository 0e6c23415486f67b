"""Wake words counted by the runner's rules."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import BadInput
from edgeq.listening.events import BEGINS, ENDS, Event
from edgeq.listening.wake_words import Truth, counted, read_truth

TIMES = st.lists(st.integers(0, 400).map(lambda tenths: tenths / 10), max_size=12).map(sorted)
WINDOWS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 3)).map(lambda w: (w[0] * 1.0, w[0] + w[1] * 1.0)),
    max_size=5,
)


@given(TIMES, WINDOWS)
def test_each_window_is_hit_or_missed_and_false_ones_lie_outside_and_apart(times, windows):
    counts = counted(times, windows)
    assert sorted([*counts.true_positives, *counts.false_negatives]) == sorted(
        w[0] for w in windows
    )
    for at in counts.false_positives:
        assert at in times
        assert not any(start <= at <= stop + 1 for start, stop in windows)
    gaps = zip(counts.false_positives, counts.false_positives[1:], strict=False)
    assert all(later > earlier + 1 for earlier, later in gaps)
    if not windows:
        assert bool(counts.false_positives) == bool(times)


def test_what_hits_one_window_hits_no_other():
    counts = counted([2.5], [(1.0, 2.0), (2.2, 3.0)])
    assert (counts.true_positives, counts.false_negatives) == ((1.0,), (2.2,))


def test_only_beginnings_of_the_wake_word_count():
    events = [
        Event(time, 0, what, name, 1.0, -1, 0.0, 0, 0.0)
        for time, what, name in ((1.0, BEGINS, "hum"), (1.5, ENDS, "hum"), (9.0, BEGINS, "hiss"))
    ]
    assert Truth("hum", ((0.5, 1.0),)).entry(events) == {
        "class": "hum",
        "true_positives": (0.5,),
        "false_negatives": (),
        "false_positives": (),
    }


def test_no_file_is_told(tmp_path: Path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_truth(tmp_path / "none.json", ["hiss"], None)


def test_a_file_of_windows(tmp_path: Path):
    path = tmp_path / "windows.json"
    path.write_text("[[1, 2.5], [4, 4]]")
    assert read_truth(path, ["hiss", "hum"], None) == Truth("hiss", ((1.0, 2.5), (4.0, 4.0)))
    assert read_truth(path, ["hiss", "hum"], "hum").name == "hum"
    with pytest.raises(BadInput, match="--wake hem: the model has hiss, hum"):
        read_truth(path, ["hiss", "hum"], "hem")


@pytest.mark.parametrize("data", [{}, [1], [[1]], [[2, 1]], [[-1, 1]], [["a", 1]], [[True, 2]], 3])
def test_other_files_are_refused(tmp_path: Path, data: object):
    path = tmp_path / "windows.json"
    path.write_text(json.dumps(data))
    with pytest.raises(BadInput, match="a JSON list of"):
        read_truth(path, ["hiss"], None)
