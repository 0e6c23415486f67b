"""A model's ports in C, by hand."""

import pytest

from edgeq.emit.firmware_ports import PortCode, ports_code, ports_record, wide_tensors
from tests.port_graphs import two_by_two, wide_delay, wide_input, with_delay


def test_ports_of_int8_lie_one_behind_the_other() -> None:
    code = ports_code(two_by_two())
    assert code is not None
    assert code.inputs == (
        PortCode("left", "INPUT_LEFT", "int8_t", 6, 0, -128, 127),
        PortCode("right", "INPUT_RIGHT", "int8_t", 6, 6, -128, 127),
    )
    assert code.outputs == (
        PortCode("classes", "OUTPUT_CLASSES", "int8_t", 4, 0, -128, 127),
        PortCode("hidden", "OUTPUT_HIDDEN", "int8_t", 7, 4, -128, 127),
    )
    assert (code.first.member, code.alignment) == ("classes", 1)
    assert code.record == ports_record(two_by_two())


def test_a_port_of_int16_begins_at_an_even_byte() -> None:
    code = ports_code(wide_delay())
    assert code is not None
    assert code.inputs == (PortCode("sound", "INPUT_SOUND", "int16_t", 5, 0, -32768, 32767),)
    assert code.outputs == (
        PortCode("classes", "OUTPUT_CLASSES", "int8_t", 3, 0, -128, 127),
        PortCode("before", "OUTPUT_BEFORE", "int16_t", 5, 4, -32768, 32767),
    )
    assert (code.first.member, code.alignment) == ("classes", 2)


def test_steps_beyond_all_codes() -> None:
    code = ports_code(wide_input())
    assert code is not None
    assert [port.beyond for port in (*code.inputs, *code.outputs)] == ["131072.0", "512.0"]


def test_a_plain_model_has_no_structs() -> None:
    assert ports_code(with_delay()) is None


@pytest.mark.parametrize(
    ("make", "numbers"),
    [
        (wide_input, [1, 1, 16, 5, 0, 0, 0, 5, *b"input", 8, 3, 0, 0, 0, 6, *b"output"]),
        (with_delay, [1, 1, 8, 6, 0, 0, 0, 5, *b"input", 8, 4, 0, 0, 0, 6, *b"output"]),
    ],
)
def test_the_record(make: object, numbers: list[int]) -> None:
    assert callable(make)
    assert ports_record(make()) == "{" + ", ".join(map(str, numbers)) + "}"


def test_wide_tensors_are_those_of_int16() -> None:
    assert wide_tensors(wide_delay()) == {"sound", "late"}
    assert wide_tensors(wide_input()) == {"sound"}
    assert wide_tensors(two_by_two()) == frozenset()
