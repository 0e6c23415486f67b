import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.emit.c_literals import LINE_WIDTH, array_body, braces, c_type, integer

DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")


def parsed(text: str) -> list[int]:
    """What a C compiler would read."""
    names = {"INT64_C": int, "__builtins__": {}}
    words = [w.strip() for w in text.replace("\n", " ").split(",") if w.strip()]
    return [eval(w.removesuffix("u"), names) for w in words]


@given(st.data(), st.sampled_from(DTYPES))
def test_array_body_holds_every_value(data: st.DataObject, dtype: str) -> None:
    info = np.iinfo(dtype)
    edges = st.sampled_from([int(info.min), int(info.max), 0])
    values = data.draw(st.lists(edges | st.integers(int(info.min), int(info.max)), max_size=60))
    text = array_body(np.array(values, dtype))
    assert parsed(text) == values
    for line in text.splitlines():
        assert line.startswith("    ")
        assert len(line) <= LINE_WIDTH
        assert line.endswith(",")
        assert line == line.rstrip()


def test_unsigned_are_hexadecimal_at_full_width() -> None:
    assert array_body(np.array([1, 0xDEADBEEF], np.uint32)) == "    0x00000001, 0xdeadbeef,\n"
    assert array_body(np.array([7], np.uint16)) == "    0x0007,\n"


def test_lowest_numbers_have_no_literal() -> None:
    assert integer(-(2**31)) == "(-2147483647 - 1)"
    assert integer(-(2**63), "int64") == "(-INT64_C(9223372036854775807) - 1)"
    assert integer(5, "uint16") == "5u"


def test_braces() -> None:
    assert braces(np.array([1, -2, 3], np.int32)) == "{1, -2, 3}"


@pytest.mark.parametrize(("value", "dtype"), [(128, "int8"), (-1, "uint8"), (2**31, "int32")])
def test_values_of_another_range_are_refused(value: int, dtype: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        integer(value, dtype)


def test_floats_are_refused() -> None:
    with pytest.raises(ValueError, match="only integers"):
        c_type(np.zeros(2))
    with pytest.raises(ValueError, match="only integers"):
        array_body(np.zeros(2))


def test_a_large_model_is_written_quickly() -> None:
    words = np.random.default_rng(0).integers(0, 2**32, 1_200_000 // 4, dtype=np.uint32)
    start = time.process_time()
    text = array_body(words)
    assert time.process_time() - start < 1.0
    assert text.count(",") == words.size
