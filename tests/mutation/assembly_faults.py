"""Faults in the Thumb assembly of string literals: rules on mnemonics, registers, immediates."""

import re
from collections.abc import Iterator

from tests.mutation.fault import Edit

# what an instruction becomes: (kind, the other one). Encodings keep their width.
_INSTEAD = {
    "smlad": ("index", "smladx"),
    "smlabt": ("index", "smlabb"),
    "smlatb": ("index", "smlatt"),
    "sxtb16": ("extreme", "uxtb16"),
    "smmulr": ("extreme", "smmul"),
    "smmlar": ("extreme", "smmla"),
    "ldrsb": ("extreme", "ldrb"),
    "uxth": ("extreme", "sxth"),
    "sxtb": ("extreme", "uxtb"),
    "asr": ("shift", "lsr"),
    "asrs": ("shift", "lsrs"),
    "lsrs": ("shift", "asrs"),
    "add": ("operand", "sub"),
    "sub": ("operand", "add"),
    "adds": ("operand", "subs"),
    "muls": ("operand", "adcs"),
    "bic": ("operand", "and"),
    "and": ("operand", "bic"),
    "mvn": ("operand", "mov"),
    "bgt": ("edge", "bge"),
    "ble": ("edge", "blt"),
    "bls": ("edge", "blo"),
    "blo": ("edge", "bls"),
    "bhi": ("edge", "bhs"),
    "blt": ("edge", "ble"),
    "strbgt": ("row", "ldrbgt"),
    "strbge": ("row", "ldrbge"),
}
_DROPPED = ("smlad", "smlabt", "smlatb", "strb", "str", "add", "adds", "asr", "stm", "bic", "mvn")
_REGISTER = r"(?:r\d+|lr|%\[\w+\]|\\\\\w+)"
_THREE = re.compile(
    rf"\b(sub|asr|lsl|pkhbt|pkhtb)(?:\.w)? +{_REGISTER}, ({_REGISTER}), ({_REGISTER})"
)
_FOUR = re.compile(rf"\b(?:smlad|smmlar) +{_REGISTER}, ({_REGISTER}), {_REGISTER}, ({_REGISTER})")


def edits(literal: str, start: int) -> Iterator[Edit]:
    """Of a string literal with its quotes, at `start` of the file."""
    if not re.search(r"\b(r\d+|lr|sp|%\[)|[a-z]+ |\\n|#\d", literal):
        return
    yield from _mnemonics(literal, start)
    yield from _immediates(literal, start)
    yield from _registers(literal, start)
    yield from _dropped(literal, start)


def _mnemonics(literal: str, start: int) -> Iterator[Edit]:
    for m in re.finditer(r"(?:(?<=[\"n ])|(?<=\\t))([a-z]+\d{0,2})(?=(\.w)? )", literal):
        if m[1] in _INSTEAD:
            kind, other = _INSTEAD[m[1]]
            at = start + m.start(1)
            yield Edit(kind, f"{kind}-{m[1]}", at, at + len(m[1]), other)


def _immediates(literal: str, start: int) -> Iterator[Edit]:
    for m in re.finditer(r"(?P<before>\w+|\[\w+,|,|\w,|\]) ?#(?P<n>-?\d+)\b", literal):
        value, before = int(m["n"]), m["before"]
        at, end = start + m.start("n"), start + m.end("n")
        line = literal[: m.start()].rsplit("\\n", 1)[-1]
        if before in ("lsl", "lsr", "asr", "ror") or re.search(
            r"\b(lsl|lsr|asr|ror)s?(\.w)? ", line
        ):
            yield Edit("shift", "shift-immediate", at, end, str(value - 1 if value else 1))
        elif re.search(r"\bssat ", line):
            yield Edit("extreme", "extreme-saturation", at, end, str(value - 1))
        elif re.search(r"\bsp\b|push|pop", line + m[0]):
            continue  # a broken stack shows itself
        elif re.search(r"\b(ldr|str)\w*(\.w)? ", line):
            step = 1 if re.search(r"\b(ldr|str)s?b", line) else 4
            yield Edit("index", "index-offset", at, end, str(value + step))
        else:
            yield Edit("constant", "constant-immediate", at, end, str(value + 1))


def _registers(literal: str, start: int) -> Iterator[Edit]:
    for pattern, kind in ((_THREE, "operand"), (_FOUR, "operand")):
        for m in pattern.finditer(literal):
            first, second = m.lastindex, m.lastindex
            first, second = (2, 3) if pattern is _THREE else (1, 2)
            if m[first] != m[second]:
                middle = literal[m.end(first) : m.start(second)]
                new = m[second] + middle + m[first]
                at = start + m.start(first)
                yield Edit(kind, "operand-registers", at, start + m.end(second), new)


def _dropped(literal: str, start: int) -> Iterator[Edit]:
    """An instruction that stands whole in the literal becomes a NOP of its width."""
    for m in re.finditer(
        r"(?:(?<=\")|(?<=\\n)|(?<=\\t)) ?([a-z]+)(?:\.w)? [^\"\\]*(?=\\n|\"$)", literal
    ):
        if m[1] in _DROPPED and "sp" not in m[0]:
            wide = "nop.w" if ".w" in m[0] or m[1].startswith("sm") else "nop"
            yield Edit("row", f"row-{m[1]}", start + m.start(), start + m.end(), f" {wide}")
