"""One step of a stream against the window that it was made of: the same bytes."""

import numpy as np

from edgeq.arrays import windows
from edgeq.ir import Graph
from edgeq.ops.op import Array
from edgeq.prove.check import Check
from edgeq.reference import random_rows, run

HOPS, SEQUENCES, SEED = 24, 6, 0


def check_stream(step: Graph, window: Graph, axis: int) -> Check:
    """On seeded codes over the whole range, HOPS answers behind the first. `window` pads nothing
    along time, which lies along `axis`; the reference runs both.
    """
    assert step.stream is not None
    first, hop = step.stream.first, step.stream.hop
    rows = random_rows(step, first + HOPS, SEED)
    ran, wanted = run(step, rows), run(window, _windows(rows, window, axis, hop, first))
    answers = ran.output[first:].reshape(HOPS, -1).astype(np.int64)
    apart = np.abs(answers - wanted.output.reshape(HOPS, -1)).max(axis=1)
    different = int(((apart > 0) | (ran.route[first:] != wanted.route)).sum())
    found = "equals" if not different else f"differs {different} times from"
    return Check(
        name="stream",
        samples=HOPS,
        mismatches=different,
        max_lsb=int(apart.max()),
        top1_agreement=None,
        route_agreement=None,
        passed=different == 0,
        said=f"a step {found} the window of {step.stream.window} frames at {HOPS} hops of {hop}",
        by="the reference",
    )


def check_carried(step: Graph, window: Graph, axis: int) -> Check:
    """Of a step that carries its state on: the first answer after each of SEQUENCES resets, on
    seeded codes, is the window's. The reference runs both.
    """
    assert step.stream is not None
    rows = step.stream.first + 1
    x = random_rows(step, rows * SEQUENCES, SEED)
    sequences = x.reshape(SEQUENCES, rows, *x.shape[1:])
    answers = np.stack([run(step, each).output[-1] for each in sequences])
    size = window.tensors[window.inputs[0]].shape[axis]
    frames = [np.concatenate(list(each), axis=axis) for each in sequences]
    ends = [windows(f, axis, size, (f.shape[axis],)) for f in frames]
    wanted = run(window, np.concatenate(ends)).output
    apart = np.abs(answers.astype(np.int64) - wanted).reshape(SEQUENCES, -1).max(axis=1)
    different = int((apart > 0).sum())
    found = "equals" if not different else f"differs {different} times from"
    return Check(
        name="stream",
        samples=SEQUENCES,
        mismatches=different,
        max_lsb=int(apart.max()),
        top1_agreement=None,
        route_agreement=None,
        passed=different == 0,
        said=f"a step that carries its state {found} the window of {step.stream.window} frames "
        f"after {SEQUENCES} resets",
        by="the reference",
    )


def _windows(rows: Array, window: Graph, axis: int, hop: int, first: int) -> Array:
    """The window that ends with each hop from `first` on."""
    frames = np.concatenate(list(rows), axis=axis)
    size = window.tensors[window.inputs[0]].shape[axis]
    return windows(frames, axis, size, range((first + 1) * hop, (len(rows) + 1) * hop, hop))
