"""Small .onnx files for the loader's tests: networks as PyTorch exports them, and single nodes."""

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper, shape_inference
from torch import Tensor, nn

from tests.onnx_networks import Attention, Encoder, Normed

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
OPSET = 17


def exported(module: nn.Module, shape: Shape) -> bytes:
    """The file that torch.onnx writes of a module on rows of `shape`, its batch open."""
    file = io.BytesIO()
    torch.onnx.export(
        module.eval(),
        (torch.randn(1, *shape),),
        file,
        dynamo=False,
        opset_version=OPSET,
        input_names=["x"],
        dynamic_axes={"x": {0: "batch"}},
    )
    return file.getvalue()


def node(
    op: str,
    shape: Shape,
    *constants: object,
    opset: int = 20,
    place: int = 0,
    outputs: int = 1,
    then: str | None = None,
    **attributes: Any,
) -> bytes:
    """One operator whose input `place` is the model's; the others are constants, None is absent.

    `then`: an operator behind it, for those that compute nothing.
    """
    inputs, held = [], []
    for i, value in enumerate(constants):
        if value is None:
            inputs.append("")
            continue
        array = np.asarray(value)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        held.append(numpy_helper.from_array(array, f"c{i}"))
        inputs.append(f"c{i}")
    inputs.insert(place, "x")
    names = [f"y{i}" for i in range(outputs)] if then is None else ["z"]
    nodes = [helper.make_node(op, inputs, names, name="one", **attributes)]
    if then is not None:
        nodes.append(helper.make_node(then, ["z"], ["y0"], name="two"))
    return model(nodes, shape, held, opset)


def place(shape: Shape, **attributes: Any) -> bytes:
    """ArgMax, as a float."""
    nodes = [
        helper.make_node("ArgMax", ["x"], ["z"], name="one", **attributes),
        helper.make_node("Cast", ["z"], ["y0"], to=TensorProto.FLOAT),
    ]
    return model(nodes, shape)


def model(
    nodes: Sequence[Any], shape: Shape, held: Sequence[Any] = (), opset: int = 20, **more: Any
) -> bytes:
    """A file of these nodes from x (batch included) to y0."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))
    y = helper.make_tensor_value_info("y0", TensorProto.FLOAT, None)
    graph = helper.make_graph(list(nodes), "g", [x], [y], list(held), **more)
    imports = [helper.make_opsetid("", opset)]
    made = helper.make_model(graph, opset_imports=imports, ir_version=10)
    with contextlib.suppress(shape_inference.InferenceError):
        made = shape_inference.infer_shapes(made)
    kind = made.graph.output[0].type.tensor_type
    if not kind.HasField("shape"):  # of an operator that onnx does not know
        kind.shape.dim.add().dim_param = "open"
    return bytes(made.SerializeToString())


class Gated(nn.Module):
    """A squeezed gate, two halves of the channels in another order and shuffled, a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.down, self.up = (
            nn.Conv2d(3, 8, 3, 2, 1),
            nn.Conv2d(8, 4, 1),
            nn.Conv2d(4, 8, 1),
        )
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        gate = F.hardsigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(y, 1)))))
        a, b = F.hardswish(y * gate).chunk(2, 1)
        y = torch.cat([b, a], 1)
        n, c, h, w = y.shape
        y = y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        out: Tensor = self.head(y.mean([2, 3]))
        return out


class Mixer(nn.Module):
    """One block of an MLP-Mixer: patches, norms, linear layers over places and over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.head = nn.Conv2d(3, 16, 4, 4), nn.Linear(16, 4)
        self.norms = nn.ModuleList([nn.LayerNorm(16), nn.LayerNorm(16)])
        self.places = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.channels = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x: Tensor) -> Tensor:
        y = self.patch(x).flatten(2).transpose(1, 2)
        y = y + self.places(self.norms[0](y).transpose(1, 2)).transpose(1, 2)
        y = y + self.channels(self.norms[1](y))
        out: Tensor = self.head(y.mean(1))
        return out


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 8, 3, 1, 1), nn.Conv2d(8, 16, 3, 1, 1)
        self.c, self.d = nn.Conv2d(24, 8, 3, 1, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.a(x))
        b = F.relu(self.b(F.max_pool2d(a, 2)))
        up = F.interpolate(b, scale_factor=2)
        out: Tensor = self.d(F.relu(self.c(torch.cat([a, up], 1))))
        return out


class Dense(nn.Module):
    """Two layers of a DenseNet: norms in front of convolutions, all that was before kept."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(8)])
        self.convs = nn.ModuleList([nn.Conv2d(4, 4, 3, 1, 1), nn.Conv2d(8, 4, 3, 1, 1)])
        for norm in self.norms:
            nn.init.normal_(norm.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(norm.running_var, 0.5, 2)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = torch.cat([x, conv(F.relu(norm(x)))], 1)
        return x


class Residual(nn.Module):
    """A block of MobileNetV2."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6()
        )
        self.block = nn.Sequential(
            *(nn.Conv2d(8, 24, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU6()),
            *(nn.Conv2d(24, 24, 3, 1, 1, groups=24, bias=False), nn.BatchNorm2d(24), nn.ReLU6()),
            *(nn.Conv2d(24, 8, 1, bias=False), nn.BatchNorm2d(8)),
        )
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(8, 10))

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        y = F.adaptive_avg_pool2d(y + self.block(y), 1).flatten(1)
        out: Tensor = self.head(y)
        return out


def plain() -> nn.Module:
    """Groups of one channel and of several, pools of every kind, a flattened map."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU6(), nn.Conv2d(8, 16, 1, groups=4)),
        *(nn.SiLU(), nn.AvgPool2d(2, 1, 1), nn.AvgPool2d(3, 2, 1, count_include_pad=False)),
        *(nn.Flatten(), nn.ELU(), nn.Linear(16 * 25, 10), nn.Softmax(-1)),
    )


def signal() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv1d(3, 8, 5, 2, 2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2)),
        *(nn.Conv1d(8, 8, 3, dilation=2), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten()),
        nn.Linear(8, 4),
    )


def features() -> nn.Module:
    """An autoencoder's shape."""
    return nn.Sequential(
        *(nn.Linear(20, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4), nn.Tanh()),
        *(nn.Linear(4, 16), nn.LeakyReLU(0.1), nn.Linear(16, 20)),
    )


NETS: Mapping[str, tuple[Callable[[], nn.Module], Shape]] = {
    "plain": (plain, (3, 16, 16)),
    "gated": (Gated, (3, 16, 16)),
    "mixer": (Mixer, (3, 16, 16)),
    "unet": (UNet, (1, 16, 16)),
    "dense": (Dense, (4, 8, 8)),
    "residual": (Residual, (3, 16, 16)),
    "signal": (signal, (3, 64)),
    "features": (features, (20,)),
    "encoder": (Encoder, (12, 6)),
    "attention": (Attention, (5, 8)),
    "normed": (Normed, (3, 8, 8)),
}


def net(name: str) -> tuple[bytes, Shape]:
    """The file of one of NETS with seeded weights, and the shape of its rows."""
    make, shape = NETS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return exported(make(), shape), shape


MAP, ROWS = (1, 4, 5, 6), (1, 3, 8)
W = np.random.default_rng(2).normal(size=(6, 4, 3, 2)).astype(np.float32)
NODES: Mapping[str, bytes] = {
    "conv pads": node("Conv", MAP, W, np.ones(6), pads=[1, 0, 2, 1], strides=[2, 1]),
    "conv same": node("Conv", MAP, W, auto_pad="SAME_UPPER", strides=[2, 2]),
    "conv same lower": node("Conv", MAP, W, auto_pad="SAME_LOWER"),
    "conv dilated": node("Conv", MAP, W, dilations=[2, 3]),
    "conv groups": node("Conv", MAP, W[:, :2], group=2),
    "conv multiplied": node("Conv", MAP, np.concatenate([W[:, :1]] * 2)[:8], group=4),
    "transposed": node(
        "ConvTranspose", MAP, W[:4, :3], np.ones(3), strides=[2, 3], pads=[1, 0, 0, 1]
    ),
    "transposed groups": node(
        "ConvTranspose",
        MAP,
        W[:4],
        group=2,
        dilations=[2, 1],
        output_padding=[1, 0],
        strides=[2, 1],
    ),
    "transposed cut": node("ConvTranspose", MAP, W[:4, :, :1], pads=[1, 1, 1, 1], strides=[1, 2]),
    "sum": node("Sum", MAP, np.arange(6.0), np.arange(4.0).reshape(4, 1, 1)),
    "max pool ceil": node("MaxPool", MAP, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    "average counts": node(
        "AveragePool", MAP, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1
    ),
    "average does not": node(
        "AveragePool", MAP, kernel_shape=[3, 2], pads=[1, 0, 1, 1], strides=[2, 1]
    ),
    "global max": node("GlobalMaxPool", MAP),
    "average ceil counts": node(
        "AveragePool",
        MAP,
        kernel_shape=[3, 3],
        strides=[2, 3],
        pads=[1, 1, 1, 1],
        count_include_pad=1,
        ceil_mode=1,
    ),
    "max dilated": node("MaxPool", MAP, kernel_shape=[2, 3], dilations=[2, 1], strides=[1, 2]),
    "average dilated": node("AveragePool", MAP, kernel_shape=[2, 2], dilations=[3, 2], opset=19),
    "transposed to a size": node(
        "ConvTranspose", MAP, W[:4, :3], strides=[3, 2], output_shape=[17, 12]
    ),
    "transposed same": node("ConvTranspose", MAP, W[:4, :3], strides=[2, 2], auto_pad="SAME_UPPER"),
    "gemm": node("Gemm", (1, 8), W.reshape(18, 8), np.ones(18), transB=1, alpha=0.5, beta=2.0),
    "matmul rows": node("MatMul", ROWS, W.reshape(8, 18)),
    "matmul matrices": node("MatMul", (1, 2, 5, 4), W.reshape(6, 4, 6)[:2]),
    "matmul broadcast": node("MatMul", (1, 1, 5, 4), W.reshape(3, 2, 4, 6)[:1]),
    "matmul vector": node("MatMul", MAP, W.reshape(-1)[:6]),
    "matmul from the left": node("MatMul", MAP, W.reshape(-1)[:15].reshape(3, 5), place=1),
    "matrices from the left": node("MatMul", MAP, W.reshape(-1)[:60].reshape(4, 3, 5), place=1),
    "layer norm": node("LayerNormalization", ROWS, np.linspace(0.5, 2, 8), np.ones(8), opset=17),
    "batch norm": node(
        "BatchNormalization", MAP, np.ones(4) * 2, np.arange(4.0), np.ones(4), np.ones(4) * 3
    ),
    "layer norm of two axes": node(
        "LayerNormalization", ROWS, np.linspace(0.5, 2, 24).reshape(3, 8), opset=17, axis=1
    ),
    "instance norm": node("InstanceNormalization", MAP, np.arange(1.0, 5), np.arange(4.0)),
    "group norm": node(
        "GroupNormalization", MAP, np.arange(1.0, 5), np.arange(4.0), opset=21, num_groups=2
    ),
    "rms norm": node("RMSNormalization", ROWS, np.linspace(0.5, 2, 8), opset=23),
    "arg max": place(MAP, axis=2),
    "arg max of channels": place(MAP, axis=1, keepdims=0, select_last_index=1),
    "log softmax": node("LogSoftmax", ROWS, axis=1),
    "prelu": node("PRelu", MAP, np.array([0.1, -0.2, 1.5, 0.0]).reshape(4, 1, 1)),
    "prelu number": node("PRelu", MAP, np.array(0.3)),
    "prelu rows": node("PRelu", MAP, np.linspace(-1, 1, 5).reshape(5, 1)),
    "softmax": node("Softmax", ROWS, axis=1),
    "mean axes": node("ReduceMean", MAP, np.array([1, 3]), keepdims=0),
    "mean all": node("ReduceMean", MAP),
    "mean of the newer exporter": node(
        "ReduceMean", MAP, np.array([2, 3]), keepdims=1, noop_with_empty_axes=0
    ),
    "reduced sum": node("ReduceSum", MAP, np.array([2])),
    "max": node("ReduceMax", MAP, np.array([-1, -2])),
    "min": node("ReduceMin", ROWS, np.array([1]), keepdims=0),
    "add channels": node("Add", MAP, np.arange(4.0).reshape(4, 1, 1)),
    "sub from": node("Sub", MAP, np.arange(6.0), place=1),
    "mul all": node("Mul", MAP, np.random.default_rng(3).normal(size=(4, 5, 6))),
    "div number": node("Div", MAP, 3.0),
    "number div": node("Sub", MAP, 3.0, place=1),
    "div channels": node("Div", ROWS, np.arange(1.0, 9.0)),
    "pow": node("Pow", MAP, 2.0),
    "pow by channel": node("Pow", MAP, np.array([1.0, 2, 3, -1]).reshape(4, 1, 1)),
    "pow whole": node("Pow", MAP, np.array(3)),
    "min by row": node("Min", MAP, np.linspace(-1, 1, 6)),
    "max number": node("Max", MAP, 0.25),
    "clip": node("Clip", MAP, np.float32(-0.5), np.float32(0.75)),
    "clip crossed": node("Clip", MAP, np.float32(2), np.float32(1)),
    "clip below": node("Clip", MAP, np.float32(0)),
    "reshape": node("Reshape", MAP, np.array([0, 2, -1, 3]), then="Neg"),
    "flatten": node("Flatten", MAP, then="Neg"),
    "squeeze": node("Squeeze", (1, 4, 1, 6), np.array([2]), then="Neg"),
    "unsqueeze": node("Unsqueeze", ROWS, np.array([1, -1]), then="Neg"),
    "transpose": node("Transpose", MAP, perm=[0, 2, 3, 1]),
    "slice": node(
        "Slice", MAP, np.array([3, -2]), np.array([-9, 9]), np.array([1, 3]), np.array([-2, 1])
    ),
    "gather one": node("Gather", MAP, np.array(-1), axis=2),
    "gather some": node("Gather", MAP, np.array([3, 1]), axis=1),
    "pad": node("Pad", MAP, np.array([0, 1, 0, 2, 0, 0, 1, 1]), np.float32(0.5)),
    "resize": node("Resize", MAP, None, np.array([1, 1, 2, 3], np.float32), mode="nearest"),
    "resize by a policy": node(  # as PyTorch's newer exporter writes it
        "Resize",
        MAP,
        None,
        np.array([1, 1, 2, 2], np.float32),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
        keep_aspect_ratio_policy="stretch",
    ),
    "resize down": node("Resize", MAP, None, np.array([1, 1, 0.6, 0.5], np.float32)),
    "resize to sizes": node("Resize", MAP, None, None, np.array([1, 4, 12, 9])),
    "resize linear": node("Resize", MAP, None, np.array([1, 1, 2, 2], np.float32), mode="linear"),
    "resize corners": node(
        "Resize",
        MAP,
        None,
        None,
        np.array([1, 4, 9, 11]),
        mode="linear",
        coordinate_transformation_mode="align_corners",
    ),
    "resize signal": node(
        "Resize", (1, 3, 8), None, np.array([1, 1, 4], np.float32), mode="linear"
    ),
    "tile": node("Tile", (1, 4, 1, 6), np.array([1, 2, 3, 2])),
    "gather any": node("Gather", MAP, np.array([3, 0, 0, 2]), axis=3),
    "gather a table": node("Gather", MAP, np.array([[0, 3, 1], [2, -1, 0]]), axis=1),
    "pad reflect": node("Pad", MAP, np.array([0, 0, 2, 1, 0, 0, 1, 3]), mode="reflect"),
    "pad edge": node("Pad", MAP, np.array([0, 1, 0, 0, 0, 0, 2, 1]), mode="edge"),
    "pad cuts": node("Pad", MAP, np.array([0, 0, -1, 2, 0, 0, -2, 0])),
    "depth to space": node("DepthToSpace", (1, 8, 3, 2), blocksize=2),
    "depth to space crd": node("DepthToSpace", (1, 8, 3, 2), blocksize=2, mode="CRD"),
    "space to depth": node("SpaceToDepth", (1, 3, 4, 6), blocksize=2),
    "expand": node("Expand", (1, 1, 5, 1), np.array([1, 4, 1, 6])),
    "split": node("Split", MAP, np.array([1, 3]), axis=1, outputs=2),
}
