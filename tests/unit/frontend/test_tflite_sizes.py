"""Sizes that an int8 .tflite file computes of an open batch."""

from pathlib import Path
from typing import Any

import pytest

from edgeq.errors import UnsupportedOp
from edgeq.frontend.tflite_loader import findings_of, graph_of_tflite
from tests import tflite_files as made
from tests.tflite_sizes import OPEN


@pytest.mark.parametrize("name", OPEN)
def test_sizes_of_an_open_batch_are_those_of_one(name: str, tmp_path: Path) -> None:
    path = tmp_path / "open.tflite"
    path.write_bytes(made.any_batch(OPEN[name]))
    graph = graph_of_tflite(made.any_batch(OPEN[name]), "t")
    plain = graph_of_tflite(OPEN[name], "t")
    assert [n.op for n in graph.nodes] == [n.op for n in plain.nodes]
    assert all(f.refused == "" for f in findings_of(path))


def test_sizes_that_no_tensor_has_are_refused_with_what_helps() -> None:
    def change(model: Any) -> None:
        model.subgraphs[0].tensors[0].shapeSignature = [-1, -1, 6, 3]

    data = made.changed(OPEN["reshape of a size"], change)
    with pytest.raises(UnsupportedOp, match=r"SHAPE .*convert with a batch of 1 \(docs"):
        graph_of_tflite(data, "t")


def test_a_size_that_is_no_whole_number_is_no_size() -> None:
    with pytest.raises(UnsupportedOp, match=r"node 0 SHAPE \(y\): it is not supported"):
        graph_of_tflite(made.written(made.MAP, made.unary("SHAPE", made.X)), "t")
