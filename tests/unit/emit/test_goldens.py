"""The generated C of small models of every shape, to the letter: what changes in it is reviewed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeq.emit.firmware import firmware_project
from edgeq.emit.kernel_version import kernel_version
from edgeq.ir import Graph
from edgeq.memory import plan_memory
from edgeq.passes.select_kernels import select_kernels
from edgeq.weights import pack_weights
from tests.factory import (
    cascade_graph,
    conv_graph,
    fc_graph,
    mixture_graph,
    smallest_cascade,
    smallest_mixture,
)
from tests.port_graphs import two_by_two, wide_delay, with_delay

DIGEST = "0123456789abcdef" * 4


def small_conv() -> Graph:
    return conv_graph(np.random.default_rng(3), ("s8", "t2"), channels=3, classes=3)


def small_mixture(top_k: int) -> Graph:
    """Its outputs weighted by the router's probabilities."""
    return mixture_graph(
        np.random.default_rng(3),
        top_k=top_k,
        gate="probability",
        formats=("t2", "s8"),
        features=5,
        hidden=4,
        classes=3,
        passes=2,
        router_hidden=3,
        router_layers=2,
    )


GRAPHS: dict[str, Callable[[], Graph]] = {
    "smallest_mixture": smallest_mixture,
    "no_mixture": lambda: fc_graph(np.random.default_rng(3), ("t2", "s8"), 5, 4, 3, softmax=True),
    "conv": small_conv,
    "dsp": lambda: select_kernels(small_conv(), frozenset({"dsp"})),
    "gate": lambda: small_mixture(1),
    "top_2": lambda: small_mixture(2),
    "cascade": smallest_cascade,
    "escalation": lambda: mixture_graph(
        np.random.default_rng(3),
        rule="escalation",
        formats=("t2", "s8"),
        features=5,
        hidden=4,
        classes=3,
        passes=2,
        router_hidden=3,
        router_layers=2,
    ),
    "heads": lambda: cascade_graph(
        np.random.default_rng(3), signal="ensemble", features=5, hidden=4, classes=3
    ),
    "two_by_two": two_by_two,
    "with_delay": with_delay,
    "wide_delay": wide_delay,
}
# the arrays of every model are alike: one model shows them
WITHOUT_ARRAYS = frozenset(GRAPHS) - {"smallest_mixture"}
MORE = dict.fromkeys(("two_by_two", "wide_delay"), ("model.h",))  # its record of the ports


@pytest.mark.parametrize("name", GRAPHS)
def test_the_generated_c_is_as_stored(name: str, golden: Callable[[str, str], None]) -> None:
    graph = GRAPHS[name]()
    packed = pack_weights(graph)
    project = firmware_project(graph, plan_memory(graph), packed, model_name="m", digest=DIGEST)
    for path in ("README.md", *(each for each in project.files if each.startswith("model/"))):
        shown = (f"{graph.name}.c", f"{graph.name}.h", *MORE.get(name, ()))
        if name in WITHOUT_ARRAYS and not path.endswith(shown):
            continue
        text = project.files[path].decode().replace(kernel_version(), "<version>")  # any kernel's
        golden(f"{name}/{Path(path).name}", text)


def test_the_models_show_what_they_are_for() -> None:
    """A golden that no longer holds a gate, or no DSP kernel, would pass for nothing."""
    stored = Path(__file__).parents[2] / "golden"
    texts = {name: "".join(p.read_text() for p in (stored / name).glob("*.c")) for name in GRAPHS}
    assert "_dsp(" in texts["dsp"]
    assert not [name for name, text in texts.items() if "_dsp(" in text and name != "dsp"]
    assert "edgeq_conv_2d_s8_s8(" in texts["conv"]
    assert {name for name, text in texts.items() if "router" not in text} >= {"conv", "no_mixture"}
    assert texts["gate"] != texts["top_2"]
    assert {name for name, text in texts.items() if "_reset(" in text} == {
        "with_delay",
        "wide_delay",
    }
    assert "inputs->left" in texts["two_by_two"]
    assert "state.halves[" in texts["wide_delay"]
