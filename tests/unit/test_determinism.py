"""One model, two interpreters with other hash seeds: the same bytes in every form."""

import os
import subprocess
import sys

EMIT = """
import hashlib
import numpy as np
import torch
from edgeq import nn
from edgeq.emit.firmware import firmware_project
from edgeq.emit.onnx_model import onnx_model
from edgeq.emit.tflite_model import tflite_model
from edgeq.frontend.torch_loader import graph_of
from edgeq.memory import plan_memory
from edgeq.passes import quantize
from edgeq.weights import pack_weights

torch.set_num_threads(1)
torch.manual_seed(0)
kinds = ("ternary", "int4", "int8")
experts = [nn.paper_expert(8, (6,), 3, kind) for kind in kinds]
mixture = nn.Mixture(experts, nn.BayesianRouter(8, 3, (6, 5), 0.2, passes=3), kinds)
x = np.random.default_rng(0).normal(size=(32, 8)).astype(np.float32)
graph = quantize(graph_of(nn.Model(mixture, (8,))), x, "mse").graph
project = firmware_project(
    graph, plan_memory(graph), pack_weights(graph), model_name="m", digest="0" * 64
)
print("graph", hashlib.sha256(graph.dump().encode()).hexdigest())
print("firmware", project.digest())
onnx = onnx_model(graph, "m", "0" * 64).SerializeToString()
print("onnx", hashlib.sha256(onnx).hexdigest())
print("tflite", hashlib.sha256(tflite_model(graph, "m", "0" * 64)).hexdigest())
"""


def emitted(seed: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", EMIT],
        env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")


def test_every_form_has_the_same_bytes_under_another_hash_seed() -> None:
    first, second = emitted("1"), emitted("2")
    assert [line.split()[0] for line in first if line] == ["graph", "firmware", "onnx", "tflite"]
    assert first == second
