"""The widths that a plan may choose from, as a user writes them."""

import re

from edgeq.errors import BadInput

DEFAULT_BITS = "1.58,2,3,4,8"
_NAMED = {"1.58": "ternary", "t": "ternary"}


def read_widths(text: str) -> tuple[str, ...]:
    """Weight kinds from "1.58,2,4,8" or "ternary,int4": narrowest first, each once.

    Raises BadInput for what is no width, and for fewer than one.

    >>> read_widths("8,1.58,4")
    ('ternary', 'int4', 'int8')
    """
    from edgeq.nn.weight_kinds import weight_kind

    found = []
    for word in (part.strip() for part in text.split(",")):
        name = _NAMED.get(word, word)
        if re.fullmatch(r"[0-9]+", name):
            name = f"int{name}"
        try:
            kind = weight_kind(name)
        except BadInput:
            kind = None
        if kind is None or kind.name == "ptq":
            raise BadInput(
                f"--bits {text!r}: {word!r} is no width; give some of 1, 1.58, 2 to 16, separated "
                f"by commas, as {DEFAULT_BITS}"
            )
        found.append(kind)
    ordered = sorted(set(found), key=lambda kind: (kind.bits, kind.name))
    return tuple(kind.name for kind in ordered)
