"""Every opset that is taken: what changed its form between them is read in each."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgeq.errors import ModelFile, UnsupportedOp
from tests import onnx_files as made
from tests.unit.frontend.test_onnx_loader import assert_computes, read, refusal

LEAST, NEWEST_THAT_RUNS = 13, 23  # the runtime that judges knows no newer one in full


def _net(opset: int) -> bytes:
    """Axes of a mean are an attribute before opset 18 and an input after, sizes of a Split too."""
    weight = np.random.default_rng(1).normal(size=(4, 4, 3, 3)).astype(np.float32)
    held = {
        "weight": weight,
        "axes": np.array([2, 3]),
        "sizes": np.array([1, 3]),
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "twice": np.array([1, 1, 2, 2], np.float32),
    }
    mean = (["r", "axes"], {}) if opset >= 18 else (["r"], {"axes": [2, 3]})
    nodes = [
        helper.make_node("Pad", ["x", "pads"], ["p"]),
        helper.make_node("Conv", ["p", "weight"], ["c"]),
        helper.make_node("Split", ["c", "sizes"], ["a", "b"], axis=1),
        helper.make_node("Softmax", ["b"], ["s"], axis=1),
        helper.make_node("Concat", ["a", "s"], ["d"], axis=1),
        helper.make_node("Resize", ["d", "", "twice"], ["r"]),
        helper.make_node("ReduceMean", mean[0], ["m"], keepdims=0, **mean[1]),
        helper.make_node("Relu", ["m"], ["y0"]),
    ]
    return made.model(
        nodes, made.MAP, [numpy_helper.from_array(v, n) for n, v in held.items()], opset
    )


@pytest.mark.parametrize("opset", range(LEAST, NEWEST_THAT_RUNS + 1))
def test_a_net_of_each(opset: int) -> None:
    assert_computes(_net(opset))


def test_older_and_unknown_ones_are_refused() -> None:
    newest = onnx.defs.onnx_opset_version()
    assert "13 to" in refusal(made.node("Relu", made.MAP, opset=12))
    proto = onnx.load_model_from_string(made.node("Relu", made.MAP))
    proto.opset_import[0].version = newest + 1
    with pytest.raises((ModelFile, UnsupportedOp), match=r"opset|version"):
        read(proto.SerializeToString())
