"""The arrays of a model: which stand in the binary file, where, and what is said of them."""

import numpy as np
import pytest

from edgeq.emit.firmware_arrays import arrays_of
from edgeq.emit.firmware_layers import layers_of
from edgeq.errors import BadInput
from edgeq.weights import Constant, PackedWeights, pack_weights
from tests.factory import fc_graph, mixture_graph


def packed_of(*sizes: int) -> PackedWeights:
    """Arrays of so many bytes, that no layer reads."""
    constants = tuple(
        Constant(f"a{i}", "weight", np.arange(size, dtype=np.uint64).astype(np.uint8))
        for i, size in enumerate(sizes)
    )
    return PackedWeights(constants, {("", c.symbol, "weight"): c.symbol for c in constants}, {})


def test_large_arrays_stand_in_the_file_one_behind_the_other() -> None:
    """At multiples of 8, with no more between them; smaller than 4096 bytes stay literals."""
    packed = packed_of(4097, 4095, 4096, 8192, 5)
    arrays = arrays_of((), packed, "binary")
    assert [(c.offset, c.bytes, c.body is None) for c in arrays.codes] == [
        (0, 4097, True),
        (0, 0, False),
        (4104, 4096, True),
        (8200, 8192, True),
        (0, 0, False),
    ]
    assert len(arrays.binary) == 8200 + 8192
    for code, constant in zip(arrays.codes, packed.constants, strict=True):
        if code.body is None:
            got = arrays.binary[code.offset : code.offset + code.bytes]
            assert got == constant.values.tobytes()
    assert arrays.binary[4097:4104] == bytes(7)


def test_the_file_is_little_endian() -> None:
    values = np.arange(2048, dtype=np.uint32)
    words = PackedWeights((Constant("a", "weight", values),), {("", "n", "weight"): "a"}, {})
    arrays = arrays_of((), words, "binary")
    assert arrays.binary == values.astype("<u4").tobytes()
    assert (arrays.codes[0].ctype, arrays.codes[0].count) == ("uint32_t", 2048)


@pytest.mark.parametrize(
    ("sizes", "weights_as", "binary"),
    [
        ((262144 - 4096, 4096), "auto", True),  # 256 KiB in all
        ((262144 - 4096, 4095), "auto", False),
        ((262144,), "c", False),
        ((4096,), "auto", False),
        ((4096,), "binary", True),
        ((4095,), "binary", False),
    ],
)
def test_when_there_is_a_file(sizes: tuple[int, ...], weights_as: str, binary: bool) -> None:
    arrays = arrays_of((), packed_of(*sizes), weights_as)
    assert bool(arrays.binary) == binary
    assert all((code.body is None) == binary for code in arrays.codes)


def test_another_form_is_refused() -> None:
    with pytest.raises(BadInput, match="not one of auto, c, binary"):
        arrays_of((), packed_of(4), "hex")


def test_comments_say_whose_an_array_is() -> None:
    graph = mixture_graph(np.random.default_rng(1), trunk="fc")
    packed = pack_weights(graph)
    said = {c.symbol: c.comment for c in arrays_of(layers_of(graph, packed), packed).codes}
    head = "mixture_t2_0_expert_0_fullyconnected_0"
    weight = 14 * 4  # bytes: 11 inputs at two bits
    assert said["mixture_fullyconnected_0_weight"] == (
        "Layer 0, fullyconnected_0: weight 11x11, s8 packed rows, 132 bytes"
    )
    assert said[f"{head}_weight"].endswith(f"weight 14x11, t2 packed rows, {weight} bytes")
    assert said[f"{head}_weight"].startswith("Layer 2, t2_0: expert_0.fullyconnected_0: ")
    assert said[f"{head}_bias"].endswith(": bias, 56 bytes")
    assert said["mixture_output_exp_table"].startswith("Output: exp(-steps * scale) in Q15, ")


def test_of_a_shared_array_the_first_layer_is_named() -> None:
    graph = fc_graph(np.random.default_rng(1), ("s8", "s8"))
    packed = pack_weights(graph)
    first, *_, last = (n for n in graph.nodes if n.op == "FullyConnected")
    shared = {**packed.symbols, ("", last.name, "bias"): packed.symbols["", first.name, "bias"]}
    used = tuple(c for c in packed.constants if c.symbol in set(shared.values()))
    packed = PackedWeights(used, shared, packed.layer_bytes)
    codes = arrays_of(layers_of(graph, packed), packed).codes
    symbol = packed.symbols["", first.name, "bias"]
    (comment,) = (c.comment for c in codes if c.symbol == symbol)
    assert comment.startswith(f"Layer 0, {first.name}: bias, ")
