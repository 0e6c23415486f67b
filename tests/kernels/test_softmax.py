"""Softmax and the confidence of an output, bit for bit against the numpy reference."""

import ctypes as ct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeq.ir import TensorType
from edgeq.ops import softmax, softmax_q31
from edgeq.ops.fixed_point import exp_table, softmax_q15
from edgeq.ops.gemmlowp import MOST_CLASSES, exp_q31_table
from edgeq.ops.op import Io
from tests.kernels import samples
from tests.kernels.conftest import KERNELS
from tests.kernels.host_kernels import Held, SoftmaxParams, SoftmaxQ31Params, call


@given(
    rows=st.integers(1, 3),
    classes=st.one_of(st.integers(1, 60), st.just(5000)),
    scale=st.sampled_from((1e-6, 0.01, 0.1, 1.0, 30.0)),
    seed=st.integers(0, 2**32 - 1),
    fill=st.sampled_from(samples.FILLS),
)
@KERNELS
def test_softmax_and_confidence_equal_reference(
    kernels: ct.CDLL, rows: int, classes: int, scale: float, seed: int, fill: str
) -> None:
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (1, rows, classes))
    table, held = exp_table(scale), Held()
    pointer = held.pointer(table, np.uint16)
    kernels.edgeq_confidence_s8.restype = ct.c_int32
    confidence = kernels.edgeq_confidence_s8(
        ct.c_void_p(pointer), ct.c_void_p(x.ctypes.data), classes
    )
    assert confidence == softmax_q15(x[0, 0], table).max()
    t = TensorType((rows, classes), "int8", samples.quant(rng))
    wanted = softmax.OP.reference(softmax.Softmax(), Io((t,), t), (x,), {"exp_table": table})
    call(kernels.edgeq_softmax_s8, SoftmaxParams(pointer, rows, classes), x, x)
    np.testing.assert_array_equal(x, wanted)


@given(
    rows=st.integers(1, 3),
    classes=st.one_of(st.integers(1, 60), st.just(MOST_CLASSES)),
    scale=st.sampled_from((1e-9, 1e-6, 0.01, 0.1, 1.0, 30.0)),
    seed=st.integers(0, 2**32 - 1),
    fill=st.sampled_from(samples.FILLS),
)
@KERNELS
def test_softmax_q31_equals_reference(
    kernels: ct.CDLL, rows: int, classes: int, scale: float, seed: int, fill: str
) -> None:
    rng = np.random.default_rng(seed)
    x = samples.activations(rng, fill, (1, rows, classes))
    table, held = exp_q31_table(scale), Held()
    t = TensorType((rows, classes), "int8", samples.quant(rng))
    attrs = softmax_q31.SoftmaxQ31()
    wanted = softmax_q31.OP.reference(attrs, Io((t,), t), (x,), {"exp_q31": table})
    params = SoftmaxQ31Params(held.pointer(table, np.int32), rows, classes)
    call(kernels.edgeq_softmax_q31_s8, params, x, x)
    np.testing.assert_array_equal(x, wanted)
