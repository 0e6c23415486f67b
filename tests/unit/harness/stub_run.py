"""A made-up run: its manifest and its records."""

import numpy as np

from edgeq.harness.manifest import FORMAT, VERSION, Data, Firmware, Manifest, Model, Session
from edgeq.harness.messages import InferResult
from edgeq.harness.record import SampleRecord

MANIFEST = Manifest(
    format=FORMAT,
    version=VERSION,
    sessions=(
        Session(started="2026-01-01T00:00:00+00:00", command=("edgeq",), edgeq="0", host={}),
    ),
    board={"name": "virtual_m4"},
    firmware=Firmware(
        digest="f" * 64, protocol_version=1, clock_hz=10**8, compiler="gcc", flags=("-O2",)
    ),
    model=Model(
        name="tiny",
        digest="a" * 64,
        input_shape=(5,),
        classes=("x", "y", "z"),
        experts=("one", "two"),
        layers=({"name": "a", "op": "fully_connected"},) * 3,
    ),
    data=Data(source="x.npz", digest="d" * 64, input_digest="e" * 64),
    samples=10**6,
)


def record(index: int) -> SampleRecord:
    output = np.array([index % 100, -128, 127], np.int8)
    result = InferResult(index, 1, 0.125, 0.5, 2**40 + index, output, 512, (7, 0, 2**32 - 1))
    label = None if index % 5 == 0 else index % 3
    return SampleRecord.of(result, label, None if index % 7 == 0 else index % 2 == 0)
