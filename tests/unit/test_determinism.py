"""One model, two interpreters with other hash seeds: the same bytes in every form."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from edgeq import nn
from edgeq.emit.firmware import firmware_project
from edgeq.emit.onnx_model import onnx_model
from edgeq.emit.tflite_model import tflite_model
from edgeq.frontend.torch_loader import graph_of
from edgeq.memory import plan_memory
from edgeq.passes import quantize
from edgeq.weights import pack_weights
from tests.hang import HANG_S

KINDS = ("ternary", "int4", "int8")
DIGEST = "0" * 64


def emitted() -> dict[str, str]:
    """SHA-256 of the graph's dump, the firmware, the ONNX and the TFLite file of one mixture."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        experts = [nn.paper_expert(8, (6,), 3, kind) for kind in KINDS]
        mixture = nn.Mixture(experts, nn.BayesianRouter(8, 3, (6, 5), 0.2, passes=3), KINDS)
    x = np.random.default_rng(0).normal(size=(32, 8)).astype(np.float32)
    graph = quantize(graph_of(nn.Model(mixture, (8,))), x, "mse").graph
    project = firmware_project(
        graph, plan_memory(graph), pack_weights(graph), model_name="m", digest=DIGEST
    )
    return {
        "graph": hashlib.sha256(graph.dump().encode()).hexdigest(),
        "firmware": project.digest(),
        "onnx": hashlib.sha256(onnx_model(graph, "m", DIGEST).SerializeToString()).hexdigest(),
        "tflite": hashlib.sha256(tflite_model(graph, "m", DIGEST)).hexdigest(),
        "hash": str(hash("a word whose hash the seed decides")),
    }


@pytest.mark.full
def test_every_form_has_the_same_bytes_under_another_hash_seed() -> None:
    done = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert done.returncode == 0, done.stderr
    here, there = emitted(), json.loads(done.stdout)
    assert here.pop("hash") != there.pop("hash"), "both ran with the same seed"
    assert here == there


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(emitted()))
