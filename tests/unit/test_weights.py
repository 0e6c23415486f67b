import dataclasses

import numpy as np
import pytest

from edgeq.bench.cases import INPUT_QUANT, Case, layer_graph
from edgeq.errors import BadInput
from edgeq.kernels import PACKINGS, weight_rows
from edgeq.kernels.streams import block_rows, convolutions, patch_pairs, row_groups, two_rows
from edgeq.kernels.streams.stream import Stream
from edgeq.ops.block_fully_connected import BlockFullyConnected
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.fixed_point import exp_table
from edgeq.passes.select_kernels import select_kernels
from edgeq.weights import OUTPUT_TABLE, SYMBOL_LENGTH, PackedWeights, pack_weights, packed_words
from tests.factory import conv_graph, fc_graph, mixture_graph


def values_of(packed: PackedWeights, key: tuple[str, str, str]) -> np.ndarray:
    return next(c.values for c in packed.constants if c.symbol == packed.symbols[key])


@pytest.mark.parametrize("formats", [("s16", "s8", "s4", "s3"), ("s2", "t2", "b1")])
def test_weights_come_back_from_their_words(formats: tuple[str, ...]) -> None:
    graph = fc_graph(np.random.default_rng(1), formats)
    packed = pack_weights(graph)
    for node in graph.nodes:
        if node.op != "FullyConnected":
            continue
        weight = graph.param(node, "weight")
        words = values_of(packed, ("", node.name, "weight"))
        assert words.dtype == np.uint32
        packing = PACKINGS[node.attrs.weight_format]
        back = packing.unpack(words.astype("<u4").tobytes(), *weight.shape)
        np.testing.assert_array_equal(back, weight)
        shift = values_of(packed, ("", node.name, "shift"))
        assert shift.dtype == np.int8
        np.testing.assert_array_equal(shift, graph.param(node, "shift"))


def test_convolutions_are_packed_by_rows() -> None:
    graph = conv_graph(np.random.default_rng(1))
    packed = pack_weights(graph)
    for node in graph.nodes:
        if node.op in ("Conv2D", "DepthwiseConv2D"):
            rows = weight_rows(node.op, graph.param(node, "weight"))
            words = values_of(packed, ("", node.name, "weight"))
            np.testing.assert_array_equal(words, packed_words(node.attrs.weight_format, rows))


def test_layers_add_up_to_the_total() -> None:
    graph = mixture_graph(np.random.default_rng(1), trunk="fc")
    packed = pack_weights(graph)
    assert sum(packed.layer_bytes.values()) == packed.total_bytes
    owners = ["", "t2_0", "s4_1", "s8_2"]
    assert sum(packed.expert_bytes(owner) for owner in owners) == packed.total_bytes
    assert len({c.symbol for c in packed.constants}) == len(packed.constants)


def test_equal_constants_are_stored_once() -> None:
    graph = mixture_graph(np.random.default_rng(1), formats=("s8", "s8"))
    node = graph.nodes[-1]
    first = node.attrs.experts[0]
    twin = dataclasses.replace(first, name="twin")
    attrs = dataclasses.replace(node.attrs, experts=(first, twin))
    packed = pack_weights(graph.with_nodes([dataclasses.replace(node, attrs=attrs)]))
    assert packed.expert_bytes(first.name) > 0
    assert packed.expert_bytes("twin") == 0
    name = first.graph.nodes[0].name
    assert packed.symbols["twin", name, "bias"] == packed.symbols[first.name, name, "bias"]
    np.testing.assert_array_equal(
        values_of(packed, OUTPUT_TABLE),
        exp_table(graph.tensors[graph.outputs[0]].quant.per_tensor),  # type: ignore[union-attr]
    )


def test_symbols_say_whose_array_it_is() -> None:
    """Model, expert, layer and role; of equal arrays the first has it."""
    graph = mixture_graph(np.random.default_rng(1), trunk="fc")
    packed, seen = pack_weights(graph), set()
    for (owner, node, role), symbol in packed.symbols.items():
        if symbol not in seen:
            words = "_".join(p for p in ("mixture", owner, node, role) if p).replace(".", "_")
            assert symbol == (words if node else "mixture_output_exp_table")
        seen.add(symbol)
    assert "mixture_t2_0_expert_0_fullyconnected_0_weight" in seen


def test_symbols_of_long_names_are_cut_and_numbered() -> None:
    graph = fc_graph(np.random.default_rng(1), ("s8", "s8", "s8", "s8"))
    names = [f"{'n' * 60}{i}" for i in range(len(graph.nodes))]
    nodes = [dataclasses.replace(n, name=m) for n, m in zip(graph.nodes, names, strict=True)]
    packed = pack_weights(graph.with_nodes(nodes))
    symbols = [c.symbol for c in packed.constants]
    stem = ("fc_chain_" + "n" * 60)[:SYMBOL_LENGTH]
    assert len(stem) == SYMBOL_LENGTH == 56
    counted = [stem, *(f"{stem}_{i}" for i in range(2, len(symbols)))]
    assert symbols == [*counted, "fc_chain_output_exp_table"]


def test_experts_of_one_name_are_refused() -> None:
    graph = mixture_graph(np.random.default_rng(1), formats=("s8", "s8"))
    node = graph.nodes[-1]
    twice = dataclasses.replace(node.attrs, experts=(node.attrs.experts[0],) * 2)
    with pytest.raises(ValueError, match="names of their own"):
        pack_weights(graph.with_nodes([dataclasses.replace(node, attrs=twice)]))


def test_codes_out_of_range_are_refused() -> None:
    graph = fc_graph(np.random.default_rng(1), ("t2",))
    name = graph.nodes[0].params["weight"]
    bad = graph.constants[name].copy()
    bad[0, 0] = 2
    with pytest.raises(BadInput, match="t2 holds"):
        pack_weights(graph.with_constants({name: bad}))


def test_shift_that_leaves_int8_is_refused() -> None:
    graph = fc_graph(np.random.default_rng(1), ("s8",))
    name = graph.nodes[0].params["shift"]
    with pytest.raises(ValueError, match="do not fit int8"):
        pack_weights(graph.with_constants({name: graph.constants[name] + 1000}))


def test_a_stream_switches_off_channels_below_its_least_shift() -> None:
    """Multiplier 0 and shift -1, where a kernel has no such shift; -31 it has."""
    graph = select_kernels(fc_graph(np.random.default_rng(1), ("s3",), classes=4), {"dsp"})
    params = graph.nodes[0].params
    given = {
        params["multiplier"]: np.array([2**30, 2**30 + 1, 0, 5], np.int32),
        params["shift"]: np.array([-31, -32, -3, -1], np.int32),
    }
    packed, name = pack_weights(graph.with_constants(given)), graph.nodes[0].name
    assert values_of(packed, ("", name, "multiplier")).tolist() == [2**30, 0, 0, 5]
    assert values_of(packed, ("", name, "shift")).tolist() == [-31, -1, -1, -1]


def test_a_table_takes_the_place_of_the_vectors() -> None:
    """Of a layer and of a router, plain and with dropout; the weights are stored once."""
    graph = select_kernels(mixture_graph(np.random.default_rng(1), formats=("s8", "s8")), {"dsp"})
    (node,) = (n for n in graph.nodes if n.op == "Mixture")
    packed, router = pack_weights(graph), node.attrs.router
    roles = {r for owner, name, r in packed.symbols if not owner and name == node.name}
    assert router.layers > 1
    for i in range(router.layers):
        dropped = {f"router.{i}.bias.dropped", f"router.{i}.mask"} if i else set()
        own = {role for role in roles if role.startswith(f"router.{i}.")}
        assert own == {f"router.{i}.weight", f"router.{i}.bias"} | dropped
    expert = node.attrs.experts[0]
    layer = next(n for n in expert.graph.nodes if n.op == "FullyConnected")
    assert layer.kernel == "edgeq_fully_connected_s8_s8_dsp"
    own = {
        role for owner, name, role in packed.symbols if (owner, name) == (expert.name, layer.name)
    }
    assert own == {"weight", "bias"}


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ([-31, -2, -1], [-31, -2, -1]),  # right shifts alone: negative bytes
        ([-31, 0, -1], [33, 0, 63]),  # one that is not: six bits each
        ([30, 1], [30, 1]),
    ],
)
def test_shifts_of_two_row_kernels_tell_what_they_are(given: list[int], stored: list[int]) -> None:
    shift = np.array(given, np.int32)
    assert two_rows.T2.shifts(shift).tolist() == stored
    assert row_groups.S8.shifts(shift).tolist() == given


def test_true_width() -> None:
    graph = fc_graph(np.random.default_rng(1), ("t2",), features=64, classes=8)
    packed = pack_weights(graph)
    node = graph.nodes[0].name
    assert values_of(packed, ("", node, "weight")).nbytes == 64 * 8 // 4
    assert packed.layer_bytes["", node] == 64 * 8 // 4 + 8 * (4 + 4 + 1)


def test_rows_are_packed_as_the_kernel_reads_them() -> None:
    """A window that is the whole map has a kernel of packed rows, for 8 bits alone."""
    case = Case("DepthwiseConv2D", "one window", (1, 15, 64), (1, 15, 64), DepthwiseConv2D())
    for token in ("s8", "s4"):
        graph = select_kernels(layer_graph(case, token, ""), frozenset({"dsp"}))
        assert graph.nodes[0].kernel == "edgeq_depthwise_frame_s8_s8_dsp"
        (words,) = (c.values for c in pack_weights(graph).constants if c.role == "weight")
        codes = graph.param(graph.nodes[0], "weight")
        assert words.astype("<u4").tobytes() == codes.astype("int8").tobytes()


@pytest.mark.parametrize("stream", [convolutions.CONV_S4, patch_pairs.CONV_S4], ids=["dsp", "v6m"])
def test_groups_stand_one_behind_the_other(stream: Stream) -> None:
    """Each as a layer of its own would: three outputs are filled to a block of four."""
    kernel = f"edgeq_conv_2d_s8_s4_{'dsp' if stream.join else 'v6m'}"
    case = Case("Conv2D", "groups", (5, 5, 8), (6, 3, 3, 4), Conv2D(groups=2))
    graph = layer_graph(case, "s4", kernel)
    packed, params = pack_weights(graph), graph.params(graph.nodes[0])
    sums = params["weight"].astype(int).sum((1, 2, 3))
    bias, parts = stream.bias(sums, params["bias"], INPUT_QUANT.zero_point), []
    for own in (slice(0, 3), slice(3, 6)):
        words = stream.pack(params["weight"][own])
        if stream.join:
            words = stream.join(words, bias[own], params["multiplier"][own], params["shift"][own])
        parts.append(words)
    assert len(parts[0]) == len(parts[1])
    found = values_of(packed, ("", "layer", "weight"))
    np.testing.assert_array_equal(found, np.concatenate(parts))
    if not stream.join:
        np.testing.assert_array_equal(values_of(packed, ("", "layer", "bias")), bias)


def test_block_scales_stand_in_the_stream() -> None:
    case = Case("BlockFullyConnected", "blocks", (64,), (9, 64), BlockFullyConnected(block=32))
    graph = layer_graph(case, "s4", "edgeq_block_fully_connected_s8_s4_dsp")
    packed, params = pack_weights(graph), graph.params(graph.nodes[0])
    scales, weight = params["block_scale"], params["weight"].astype(int)
    words = block_rows.S4.pack(params["weight"], scales, 32)
    np.testing.assert_array_equal(values_of(packed, ("", "layer", "weight")), words)
    sums = (weight.reshape(9, 2, 32) * scales[:, :, None]).sum((1, 2))
    bias = block_rows.S4.bias(sums, params["bias"], INPUT_QUANT.zero_point)
    np.testing.assert_array_equal(values_of(packed, ("", "layer", "bias")), bias)
