"""Any name becomes a C identifier that two compilers and a linker bear."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import BadInput
from edgeq.ir.c_names import FALLBACK, RESERVED, c_name, c_prefix, unique


@given(st.text(max_size=60))
def test_every_name_becomes_an_identifier_that_may_be_asked_for(name: str) -> None:
    prefix = c_prefix(name)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", prefix)
    assert c_name("", prefix) == prefix
    assert c_prefix(prefix) == prefix


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("Keyword spotter v2", "Keyword_spotter_v2"),
        ("model", FALLBACK),
        ("", FALLBACK),
        ("9lives", "model_9lives"),
        ("int", "model_int"),
        ("edgeq_add_s8", "model_edgeq_add_s8"),
        ("*/ int main", "int_main"),
    ],
)
def test_names_made_identifiers(name: str, prefix: str) -> None:
    assert c_prefix(name) == prefix


@pytest.mark.parametrize("name", ["", "2kws", "k-ws", "k__ws", "kws_", "model", "int", "edgeqx"])
def test_a_name_that_c_cannot_bear_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="--name"):
        c_name("digits", name)


def test_words_of_c_are_known() -> None:
    assert {"while", "template", "stdint", "model"} <= RESERVED


def test_a_name_that_is_taken_gets_a_number() -> None:
    taken = {"a_2"}
    assert [unique("a", taken) for _ in range(3)] == ["a", "a_3", "a_4"]
    assert [unique("b", taken, "{}{}".format) for _ in range(2)] == ["b", "b2"]
    assert taken == {"a", "a_2", "a_3", "a_4", "b", "b2"}
