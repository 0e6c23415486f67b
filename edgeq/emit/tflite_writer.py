"""Writes TensorFlow Lite flatbuffers: tensors, operators and subgraphs in order of creation.

The schema's object API does the encoding; equal constants share a buffer; every buffer starts on
16 bytes, as the schema asks and Cortex-M loads need. The bytes are a pure function of the calls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers  # type: ignore[import-untyped,unused-ignore]
import numpy as np
from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)

from edgeq.ir import Quant
from edgeq.ops.int4 import pack_int4
from edgeq.ops.op import Array

TENSOR_TYPE: Mapping[str, int] = {
    "int4": schema.TensorType.INT4,
    "int8": schema.TensorType.INT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "bool": schema.TensorType.BOOL,
    "float32": schema.TensorType.FLOAT32,
}
ACTIVATION: Mapping[str, int] = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}
# Lowest operator versions that know these types (tflite/tools/versioning/op_version.cc).
OP_VERSION: Mapping[tuple[str, str], int] = {
    ("FULLY_CONNECTED", "int8"): 5,
    ("FULLY_CONNECTED", "int4"): 9,
    ("FULLY_CONNECTED", "int16"): 7,
    ("CONV_2D", "int8"): 3,
    ("CONV_2D", "int4"): 7,
    ("CONV_2D", "int16"): 4,
    ("DEPTHWISE_CONV_2D", "int8"): 3,
    ("DEPTHWISE_CONV_2D", "int4"): 6,
    ("DEPTHWISE_CONV_2D", "int16"): 5,
    ("ADD", "int8"): 2,
    ("ADD", "int16"): 4,
    ("SUB", "int8"): 2,
    ("SUB", "int16"): 5,
    ("SQUARED_DIFFERENCE", "int8"): 2,
    ("L2_NORMALIZATION", "int8"): 2,
    ("MUL", "int8"): 2,
    ("MUL", "int16"): 4,
    ("MEAN", "int8"): 2,
    ("MEAN", "int16"): 3,
    ("RSQRT", "int16"): 3,
    ("SOFTMAX", "int8"): 2,
    ("SOFTMAX", "int16"): 3,
    ("QUANTIZE", "int8"): 2,
    ("QUANTIZE", "int16"): 3,
    ("MAX_POOL_2D", "int8"): 2,
    ("MAX_POOL_2D", "int16"): 3,
    ("AVERAGE_POOL_2D", "int16"): 3,
    ("PAD", "int8"): 2,
    ("PAD", "int16"): 3,
    ("PADV2", "int8"): 2,
    ("STRIDED_SLICE", "int8"): 2,
    ("BROADCAST_TO", "int8"): 2,
    ("RESIZE_NEAREST_NEIGHBOR", "int8"): 2,
    ("RESIZE_BILINEAR", "int8"): 2,
    ("BATCH_MATMUL", "int8"): 4,
    ("LOG_SOFTMAX", "int8"): 2,
    ("SPACE_TO_DEPTH", "int8"): 2,
    ("TRANSPOSE", "int8"): 2,
    ("MINIMUM", "int8"): 2,
    ("MAXIMUM", "int8"): 2,
    ("LOGISTIC", "int8"): 2,
    ("TANH", "int8"): 2,
    ("ABS", "int8"): 2,
    ("GATHER", "int8"): 2,
    ("CONCATENATION", "int8"): 2,
    ("SLICE", "int8"): 2,
    ("LESS", "int8"): 2,
    ("ARG_MAX", "int8"): 2,
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", "int8"): 3,
    ("SVDF", "int8"): 3,
}
_ALIGNMENT = 16


@dataclass(frozen=True)
class Value:
    """A tensor of one subgraph. `shape` includes the batch axis."""

    index: int
    shape: tuple[int, ...]
    dtype: str
    quant: Quant | None = None

    @property
    def q(self) -> Quant:
        """The quantisation of a tensor that must have one."""
        if self.quant is None:
            raise ValueError(f"tensor {self.index} is not quantised")
        return self.quant


class _Buffer(schema.BufferT):  # type: ignore[misc]
    """Aligned, unlike the generated class, whose numpy path starts on any byte."""

    def Pack(self, builder: Any) -> Any:  # noqa: N802
        vector = None
        if self.data is not None and len(self.data):
            builder.StartVector(1, len(self.data), _ALIGNMENT)
            builder.head -= len(self.data)
            builder.Bytes[builder.head : builder.head + len(self.data)] = self.data
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


@dataclass
class SubgraphWriter:
    """One subgraph under construction; `index` is its place in the model."""

    model: "ModelWriter"
    index: int
    body: Any

    def value(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str,
        quant: Quant | None = None,
        buffer: int = 0,
    ) -> Value:
        """A new tensor; an activation unless `buffer` names a constant's bytes."""
        tensor = schema.TensorT(
            shape=list(shape),
            type=TENSOR_TYPE[dtype],
            buffer=buffer,
            name=name,
            quantization=_quantization(quant),
            hasRank=True,
        )
        self.body.tensors.append(tensor)
        return Value(len(self.body.tensors) - 1, tuple(shape), dtype, quant)

    def variable(self, name: str, shape: Sequence[int], dtype: str, quant: Quant) -> Value:
        """A tensor that an operator keeps from one invocation to the next."""
        made = self.value(name, shape, dtype, quant)
        self.body.tensors[made.index].isVariable = True
        return made

    def constant(
        self, name: str, values: Array, quant: Quant | None = None, dtype: str | None = None
    ) -> Value:
        """A constant tensor; dtype "int4" packs int8 codes two to a byte."""
        values = np.asarray(values)
        dtype = dtype or str(values.dtype)
        raw = pack_int4(values) if dtype == "int4" else np.ascontiguousarray(values).tobytes()
        return self.value(name, values.shape, dtype, quant, self.model.buffer(raw))

    def op(
        self,
        op: str,
        inputs: Sequence[Value | None],
        outputs: Sequence[Value],
        options: Any = None,
        typed_by: int = 0,
        intermediates: Sequence[Value] = (),
    ) -> None:
        """Appends a built-in operator; input number `typed_by` decides its version. None: an input
        that it does without.
        """
        decides = inputs[typed_by]
        version = OP_VERSION.get((op, decides.dtype if decides else ""), 1)
        kind = getattr(schema.BuiltinOptions, type(options).__name__[:-1], 0) if options else 0
        self.body.operators.append(
            schema.OperatorT(
                opcodeIndex=self.model.opcode(op, version),
                inputs=[-1 if v is None else v.index for v in inputs],
                outputs=[v.index for v in outputs],
                builtinOptionsType=kind,
                builtinOptions=options,
                intermediates=[v.index for v in intermediates] or None,
            )
        )

    def finish(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> None:
        """Names the subgraph's inputs and outputs."""
        self.body.inputs = [v.index for v in inputs]
        self.body.outputs = [v.index for v in outputs]


@dataclass
class ModelWriter:
    """The model under construction. Buffer 0 is the empty one, by the schema's convention."""

    _buffers: dict[bytes, int] = field(default_factory=lambda: {b"": 0})
    _opcodes: dict[tuple[str, int], int] = field(default_factory=dict)
    _subgraphs: list[Any] = field(default_factory=list)

    def subgraph(self, name: str) -> SubgraphWriter:
        """A new subgraph; the first one is the model's entry."""
        body = schema.SubGraphT(tensors=[], inputs=[], outputs=[], operators=[], name=name)
        self._subgraphs.append(body)
        return SubgraphWriter(self, len(self._subgraphs) - 1, body)

    def buffer(self, raw: bytes) -> int:
        return self._buffers.setdefault(raw, len(self._buffers))

    @property
    def constants(self) -> list[bytes]:
        """The buffers that hold something."""
        return [raw for raw in self._buffers if raw]

    def opcode(self, op: str, version: int) -> int:
        return self._opcodes.setdefault((op, version), len(self._opcodes))

    def to_bytes(
        self,
        description: str,
        inputs: Mapping[str, Value],
        outputs: Mapping[str, Value],
        metadata: Mapping[str, bytes],
    ) -> bytes:
        """The file, with one signature "serving_default" over the first subgraph."""
        signature = schema.SignatureDefT(
            inputs=_tensor_map(inputs),
            outputs=_tensor_map(outputs),
            signatureKey="serving_default",
            subgraphIndex=0,
        )
        notes = [schema.MetadataT(name=k, buffer=self.buffer(v)) for k, v in metadata.items()]
        model = schema.ModelT(
            version=3,
            operatorCodes=[_operator_code(*key) for key in self._opcodes],
            subgraphs=self._subgraphs,
            description=description,
            buffers=[_Buffer(data=raw) for raw in self._buffers],
            metadata=notes,
            signatureDefs=[signature],
        )
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def _quantization(quant: Quant | None) -> Any:
    if quant is None:
        return None
    return schema.QuantizationParametersT(
        scale=np.array(quant.scale, dtype=np.float32),
        zeroPoint=np.full(len(quant.scale), quant.zero_point, dtype=np.int64),
        quantizedDimension=quant.axis or 0,
    )


def _operator_code(op: str, version: int) -> Any:
    code = getattr(schema.BuiltinOperator, op)
    return schema.OperatorCodeT(
        deprecatedBuiltinCode=min(code, 127), version=version, builtinCode=code
    )


def _tensor_map(values: Mapping[str, Value]) -> list[Any]:
    return [schema.TensorMapT(name=name, tensorIndex=v.index) for name, v in values.items()]
