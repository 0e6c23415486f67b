"""C identifiers: the one before every global name of an exported model, and ones of their own."""

import re
from collections.abc import Callable

from edgeq.errors import BadInput

LONGEST = 24
FALLBACK = "edgeq_model"  # of a model without a name of its own
# C99 and C++17 words, and names of headers that an exported model may be compiled beside
WORDS = """
model main auto break case char const continue default do double else enum extern float for
goto if inline int long register restrict return short signed sizeof static struct switch
typedef union unsigned void volatile while bool true false and or not xor asm new delete
class this try catch throw using namespace template typename operator private public
protected virtual friend explicit export mutable nullptr stdint stddef stdbool stdio stdlib
string math assert
"""
RESERVED = frozenset(WORDS.split())


def c_prefix(name: str) -> str:
    """`name` made an identifier: "Keyword spotter v2" -> "Keyword_spotter_v2".

    Names that say nothing ("model", "") or would read as the kernels' ("edgeq_...") become
    FALLBACK or stand behind "model_".
    """
    stem = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:LONGEST].rstrip("_")
    if stem in ("", "model", FALLBACK):
        return FALLBACK
    taken = stem.lower() in RESERVED or stem[0].isdigit() or stem.lower().startswith("edgeq")
    return f"model_{stem}"[:LONGEST].rstrip("_") if taken else stem


def unique(stem: str, taken: set[str], numbered: Callable[[str, int], str] = "{}_{}".format) -> str:
    """`stem`, or the first of `numbered(stem, 2)`, 3 and so on that `taken` lacks; it is added."""
    found, count = stem, 1
    while found in taken:
        count += 1
        found = numbered(stem, count)
    taken.add(found)
    return found


def c_name(model_name: str, asked: str | None = None) -> str:
    """`asked` if it may begin C names as it is, else the model's name made an identifier.

    Raises BadInput for a name that no C program could bear.
    """
    if asked is None:
        return c_prefix(model_name)
    why = _refusal(asked)
    if why:
        raise BadInput(f"--name {asked!r} {why}; give letters and digits, as in --name kws")
    return asked


def _refusal(prefix: str) -> str | None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", prefix) or len(prefix) > LONGEST:
        return f"is no C identifier of at most {LONGEST} letters, digits and _"
    if "__" in prefix or prefix.endswith("_"):
        return "holds two underscores in a row or ends with one, which C++ keeps for itself"
    if prefix.lower() in RESERVED:
        return "is a word of C or the name of a header"
    if prefix.lower().startswith("edgeq") and prefix != FALLBACK:
        return "begins with edgeq, as the kernels do that all models share"
    return None
