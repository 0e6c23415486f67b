"""Runs a .tflite in LiteRT, and checks its operators against what TensorFlow Lite Micro accepts."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)
from ai_edge_litert.interpreter import (  # type: ignore[import-untyped,unused-ignore]
    Interpreter,
    OpResolverType,
)

from edgeq.emit.runs import INPUT, OUTPUT, End, FormEnds, TfliteRun
from edgeq.errors import UnsupportedOp
from edgeq.ops.op import Array

# Operator -> types of its data tensors that TensorFlow Lite Micro's kernels take (2026-08).
# Shapes, axes and indices are int32 and conditions BOOL beside these. int4 is for constants only.
_BOTH = frozenset({"int8", "int16"})
_INT8 = frozenset({"int8"})
_WEIGHTS = frozenset({"int8", "int4", "int16"})
TFLM_DTYPES: Mapping[str, frozenset[str]] = {
    "FULLY_CONNECTED": _WEIGHTS,
    "CONV_2D": _WEIGHTS,
    "DEPTHWISE_CONV_2D": _WEIGHTS,
    "SOFTMAX": _BOTH,
    "LOGISTIC": _BOTH,
    "TANH": _BOTH,
    "ADD": _BOTH | {"int32"},
    "CAST": frozenset({"int8", "int16", "int32"}),
    "ABS": _BOTH,
    "MUL": _BOTH,
    "HARD_SWISH": _INT8,
    "LEAKY_RELU": _BOTH,
    "ELU": _INT8,
    "PRELU": _INT8,
    "SUB": _BOTH,
    "MEAN": _BOTH,
    "QUANTIZE": _BOTH,
    "RSQRT": _BOTH,
    "SQUARED_DIFFERENCE": _BOTH,
    "L2_NORMALIZATION": _INT8,
    "ARG_MAX": _INT8,
    "GATHER": _INT8,
    "GREATER": _INT8,
    "GREATER_EQUAL": _INT8,
    "LESS": _INT8,
    "LESS_EQUAL": _INT8,
    "NOT_EQUAL": frozenset({"int8", "int32"}),
    "EQUAL": frozenset({"int8", "int32"}),  # of an ARG_MAX
    "CONCATENATION": _INT8,
    "SLICE": _INT8,
    "TRANSPOSE": _INT8,
    "STRIDED_SLICE": _INT8,
    "BROADCAST_TO": _INT8,
    "RESIZE_NEAREST_NEIGHBOR": _INT8,
    "RESIZE_BILINEAR": _INT8,
    "BATCH_MATMUL": _INT8,
    "LOG_SOFTMAX": _INT8,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _BOTH,
    "SVDF": _BOTH,
    "DEPTH_TO_SPACE": _INT8,
    "SPACE_TO_DEPTH": _INT8,
    "PADV2": _INT8,
    "MINIMUM": _INT8 | {"int32"},
    "MAXIMUM": _INT8 | {"int32"},
    "AVERAGE_POOL_2D": _BOTH,
    "MAX_POOL_2D": _BOTH,
    "PAD": _BOTH,
    "RESHAPE": _BOTH,
    "IF": _BOTH | {"int32", "bool"},
}
# Operators whose later inputs are int32 (shape, axes, amounts, bias), by position.
_INT32_INPUTS: Mapping[str, tuple[int, ...]] = {
    "FULLY_CONNECTED": (2,),
    "CONV_2D": (2,),
    "DEPTHWISE_CONV_2D": (2,),
    "MEAN": (1,),
    "RESHAPE": (1,),
    "PAD": (1,),
    "PADV2": (1,),
    "STRIDED_SLICE": (1, 2, 3),
    "BROADCAST_TO": (1,),
    "RESIZE_NEAREST_NEIGHBOR": (1,),
    "RESIZE_BILINEAR": (1,),
    "ARG_MAX": (1,),
    "SLICE": (1, 2),
    "GATHER": (1,),
    "TRANSPOSE": (1,),
    "SVDF": (3,),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (9, 10, 11, 12),  # absent ones are not counted
}
REAL = (np.float32, np.int32, np.int64)  # numbers as they are; others are codes
_WEIGHTED = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D")
_COMPARISONS = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
_DTYPE = {value: name.lower() for name, value in vars(schema.TensorType).items() if name.isupper()}
_OP_NAME = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}


def run_tflite(
    model: bytes, x: Array, resolver: str = "BUILTIN_REF", ends: FormEnds | None = None
) -> TfliteRun:
    """Runs rows of codes x (rows, *row shape) one by one.

    `ends`: of a file with several ports or a state; its rows are then a sequence from a reset.

    The reference kernels (`BUILTIN_REF`) stand nearest to TensorFlow Lite Micro; XNNPACK, the
    default, multiplies in float32. `resolver` names a member of OpResolverType.
    """
    interpreter = _interpreter(model, resolver)
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner("serving_default")
    details = runner.get_output_details()
    ends = ends or FormEnds((End(INPUT, x.shape[1:], "int8"),), (OUTPUT,))
    rows = list(_rows(interpreter, runner, x, ends))
    made = [np.stack([r[name][0] for r in rows]) for name in ends.outputs]
    logits = made[0]
    if len(made) > 1:
        logits = np.concatenate([y.reshape(len(x), -1) for y in made], axis=1)
    zero = int(details["uncertainty"]["quantization"][1]) if "uncertainty" in details else 0
    return TfliteRun(
        logits,
        _numbers(rows, "route", -1),
        _numbers(rows, "uncertainty", 0) - zero,
        float(details["uncertainty"]["quantization"][0]) if "uncertainty" in details else 0.0,
    )


def _rows(interpreter: Any, runner: Any, x: Array, ends: FormEnds) -> Iterator[dict[str, Array]]:
    """What each row gives by name, each state handed on to the next; variables begin anew."""
    parts = ends.split(x)
    given = {e.name: parts[e.name].astype(e.dtype) for e in ends.inputs}
    kept = {s.given.name: np.full((1, *s.given.shape), s.reset, s.given.dtype) for s in ends.states}
    for at in range(len(x)):
        interpreter.reset_all_variables()
        made = runner(**{name: rows[at : at + 1] for name, rows in given.items()}, **kept)
        kept = {state.given.name: made[state.output] for state in ends.states}
        yield made


def run_plain_tflite(model: bytes, x: Array, real: Array) -> tuple[Array, Array]:
    """A file, whoever wrote it, on LiteRT's reference kernels: rows of codes x, or `real` for an
    input that takes float32; several inputs' values stand one after another.

    The outputs (rows, values), uint8 as int8, and which of the values are real numbers.
    """
    try:
        interpreter = _interpreter(model, "BUILTIN_REF")
    except ValueError:  # ELU has no reference kernel
        interpreter = _interpreter(model, "BUILTIN_WITHOUT_DEFAULT_DELEGATES")
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details(), interpreter.get_output_details()
    codes, numbers = x.reshape(len(x), -1), real.reshape(len(real), -1)
    outputs = []
    for row in range(len(codes)):
        at = 0
        for each in given:
            size = int(np.prod(each["shape"], dtype=np.int64))
            part = slice(at, at + size)
            values = _as_taken(each["dtype"], codes[row, part], numbers[row, part])
            interpreter.set_tensor(each["index"], values.reshape(each["shape"]))
            at += size
        interpreter.reset_all_variables()
        interpreter.invoke()
        outputs.append(np.concatenate([_as_codes(interpreter, each) for each in made]))
    sizes = [int(np.prod(each["shape"], dtype=np.int64)) for each in made]
    floats = [np.full(n, e["dtype"] in REAL) for n, e in zip(sizes, made, strict=True)]
    return np.stack(outputs), np.concatenate(floats)


def _as_taken(dtype: Any, codes: Array, real: Array) -> Array:
    """A row's values as an input of that type takes them."""
    if dtype == np.float32:
        return real.astype(np.float32)
    return (codes.astype(np.int64) + (128 if dtype == np.uint8 else 0)).astype(dtype)


def _as_codes(interpreter: Any, end: Any) -> Array:
    values = interpreter.get_tensor(end["index"]).reshape(-1).astype(np.float64)
    return np.asarray(values - 128 if end["dtype"] == np.uint8 else values)


def _interpreter(model: bytes, resolver: str) -> Any:
    """ValueError where the resolver has not got an operator."""
    return Interpreter(
        model_content=model,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType[resolver],
    )


def _numbers(rows: list[dict[str, Array]], name: str, absent: int) -> Array:
    return np.array([int(r[name].reshape(-1)[0]) if name in r else absent for r in rows], np.int64)


def ops_used(model: bytes) -> tuple[str, ...]:
    """Names of the operators, sorted; a custom operator appears as CUSTOM."""
    parsed = _parse(model)
    codes = [parsed.operatorCodes[op.opcodeIndex] for op in _operators(parsed)]
    return tuple(sorted({_name(code) for code in codes}))


def assert_tflm_dtypes(model: bytes) -> None:
    """Raises UnsupportedOp listing each operator in a type TensorFlow Lite Micro refuses."""
    parsed = _parse(model)
    wrong: list[str] = []
    for subgraph in parsed.subgraphs:
        for op in subgraph.operators:
            name = _name(parsed.operatorCodes[op.opcodeIndex])
            wrong += [_where(subgraph, op, name, why) for why in _faults(name, op, subgraph)]
    if wrong:
        raise UnsupportedOp("TensorFlow Lite Micro refuses: " + "; ".join(wrong))


def _faults(name: str, op: Any, subgraph: Any) -> list[str]:
    """What is wrong with one operator."""
    if name not in TFLM_DTYPES:
        return ["no such operator there"]
    skipped = _INT32_INPUTS.get(name, ())
    inputs = [subgraph.tensors[i] for i in op.inputs if i >= 0]
    outputs = [subgraph.tensors[i] for i in op.outputs]
    faults = [
        f"input {i} is {_DTYPE[t.type]}"
        for i, t in enumerate(inputs)
        if _DTYPE[t.type] not in (_whole(inputs) if i in skipped else TFLM_DTYPES[name])
    ]
    allowed = _result_dtypes(name)
    faults += [f"output is {_DTYPE[t.type]}" for t in outputs if _DTYPE[t.type] not in allowed]
    return faults + _int4_faults(name, inputs)


def _whole(inputs: list[Any]) -> tuple[str, ...]:
    """Types of shapes, axes and biases; those of int16 activations may have 64 bits."""
    return ("int32", "int64") if _DTYPE[inputs[0].type] == "int16" else ("int32",)


def _result_dtypes(name: str) -> frozenset[str]:
    if name in _COMPARISONS:
        return frozenset({"bool"})
    if name == "ARG_MAX":
        return frozenset({"int32"})
    return TFLM_DTYPES[name] - {"int4"}


def _int4_faults(name: str, inputs: list[Any]) -> list[str]:
    """int4 is for weights (input 1), and per tensor in FULLY_CONNECTED."""
    if name not in _WEIGHTED:
        return []
    faults = ["input 0 is int4"] if _DTYPE[inputs[0].type] == "int4" else []
    weight = inputs[1]
    if _DTYPE[weight.type] == "int16":
        faults.append("weights are int16")
    narrow = _DTYPE[weight.type] == "int4"
    if name == "FULLY_CONNECTED" and narrow and len(weight.quantization.scale) > 1:
        faults.append("int4 weights per channel")
    return faults


def _where(subgraph: Any, op: Any, name: str, why: str) -> str:
    return f"{name} {_text(subgraph.tensors[op.outputs[0]].name)}: {why}"


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _parse(model: bytes) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))


def _operators(parsed: Any) -> list[Any]:
    return [op for subgraph in parsed.subgraphs for op in subgraph.operators]


def _name(code: Any) -> str:
    return str(_OP_NAME[max(code.builtinCode, code.deprecatedBuiltinCode)])
