"""The words of a fault on the line: found whole, and in no frame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.harness.fault import CFSR, fault_in
from edgeq.harness.frame import PAYLOAD_BYTES, Frame, encode

LINE = b"\r\ne-[fault at pc 08000abc cfsr 00010000 address 00000000 lr 08000123]\r\n"
RISCV = b"\r\ne-[fault at pc 80000abc mcause 00000007 mtval f0000000]\r\n"


def test_both_cores_by_hand() -> None:
    said = "undefined instruction at pc 0x08000abc; cfsr 00010000, lr 08000123"
    assert fault_in(b"noise" + LINE + b"noise") == said
    assert fault_in(LINE + RISCV) == (
        "store to no memory (0xf0000000) at pc 0x80000abc; mcause 00000007, mtval f0000000"
    )
    assert fault_in(b"\r\ne-[fault at pc 08000abc cfsr 00000000]\r\n") == (
        "a fault of no recorded cause at pc 0x08000abc; cfsr 00000000"
    )


@pytest.mark.parametrize("cut", [1, 20, len(LINE) - 1])
def test_a_part_of_it_is_nothing(cut: int) -> None:
    assert fault_in(LINE[:cut]) is None
    assert fault_in(LINE[cut:]) is None


@given(st.sets(st.sampled_from(sorted(CFSR)), min_size=1))
def test_every_bit_is_named(bits: set[int]) -> None:
    word = f"{sum(1 << bit for bit in bits):08x}".encode()
    said = fault_in(b"\r\ne-[fault at pc 00000000 cfsr " + word + b"]\r\n")
    assert said is not None
    assert all(CFSR[bit] in said for bit in bits)


@given(st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=PAYLOAD_BYTES - len(RISCV)))
def test_no_frame_looks_like_one(kind: int, seq: int, before: bytes) -> None:
    assert fault_in(encode(Frame(kind, seq, before + RISCV))) is None
