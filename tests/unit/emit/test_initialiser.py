"""C initialisers from flat paths."""

from edgeq.emit.initialiser import initialiser_lines


def test_members_stand_in_the_order_in_which_they_are_first_named() -> None:
    fields = (("b", "1"), ("window.stride.height", "2"), ("a", "NULL"), ("window.size", "{3, 4}"))
    assert initialiser_lines(fields) == (
        ".b = 1,",
        ".window = {",
        "    .stride = {",
        "        .height = 2,",
        "    },",
        "    .size = {3, 4},",
        "},",
        ".a = NULL,",
    )


def test_elements_of_an_array_have_no_dot() -> None:
    fields = (("[0].plain.bias", "x"), ("[0].plain.shift", "y"), ("[1].units", "3"), ("m[2]", "z"))
    assert initialiser_lines(fields) == (
        "[0] = {",
        "    .plain = {",
        "        .bias = x,",
        "        .shift = y,",
        "    },",
        "},",
        "[1] = {",
        "    .units = 3,",
        "},",
        ".m = {",
        "    [2] = z,",
        "},",
    )


def test_nothing_of_nothing() -> None:
    assert initialiser_lines(()) == ()
