"""Which samples are a row: of whole windows, one every hop, and of what an answer says."""

import numpy as np
import pytest

from edgeq.errors import BadInput
from edgeq.listening.hearing import Hearing, _hop, hearing_of
from edgeq.reference import quantize_rows
from edgeq.sound import Sound
from tests.audio_cases import AUDIO_CASES

WINDOW = 500  # samples of the case


def test_windows_overlap_by_all_but_a_hop() -> None:
    graph = AUDIO_CASES["log mel of 256"]()
    hearing = Hearing(graph, 8000, 100, WINDOW, 0)
    sound = np.random.default_rng(0).uniform(-1, 1, 1099).astype(np.float32)
    rows = list(hearing.rows(sound))
    assert len(rows) == hearing.count(len(sound)) == 6
    for index in (0, 5):
        window = sound[index * 100 : index * 100 + WINDOW].reshape(1, WINDOW, 1, 1)
        np.testing.assert_array_equal(rows[index], quantize_rows(graph, window))
    assert (hearing.hop_s, hearing.heard_s(0), hearing.heard_s(5)) == (0.0125, 0.0625, 0.125)
    assert hearing.count(WINDOW - 1) == 0
    with pytest.raises(BadInput, match=r"street is 0\.062 s long; the first answer takes 0\.062"):
        hearing.check(Sound(sound[: WINDOW - 1], 8000), "street")


def test_a_hop_is_whole_samples_within_the_window() -> None:
    assert _hop(None, 8000, WINDOW) == WINDOW
    assert _hop("25ms", 8000, WINDOW) == 200
    for wrong in ("63ms", "1us", "12.51ms", "much"):
        with pytest.raises(BadInput, match="--hop"):
            _hop(wrong, 8000, WINDOW)


def test_a_map_of_features_is_no_answer() -> None:
    with pytest.raises(BadInput, match="not scores of classes"):
        hearing_of(AUDIO_CASES["log mel of 256"](), None)
