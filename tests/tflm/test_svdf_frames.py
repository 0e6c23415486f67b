"""SVDF in TensorFlow Lite Micro: the state of one frame after another is the graph's History."""

import numpy as np
import pytest

from edgeq.frontend.tflite_loader import graph_of_tflite
from edgeq.reference import random_rows, run
from tests.svdf_cases import FEATURES, frames_file
from tests.tflm.interpreter import run_tflm

FRAMES = 9


@pytest.mark.parametrize(("dtype", "most"), [("int16", 127), ("int16", 32767), ("int8", 127)])
def test_frames_are_its_frames(dtype: str, most: int) -> None:
    """A file of one frame beside one whose operators follow each other on one variable."""
    graph = graph_of_tflite(frames_file(dtype, most=most), "one")
    x = random_rows(graph, FRAMES)
    several = frames_file(dtype, FRAMES, most)
    (got,) = run_tflm(several, x.reshape(1, FRAMES, FEATURES)[0][None].reshape(1, FRAMES, FEATURES))
    assert not got.refused, got.refused
    wanted = run(graph, x).output.reshape(FRAMES, -1)
    np.testing.assert_array_equal(got.outputs[0], wanted)
    (first,) = run_tflm(frames_file(dtype, most=most), x[:1].reshape(1, 1, FEATURES))
    np.testing.assert_array_equal(first.outputs[0], wanted[:1])
