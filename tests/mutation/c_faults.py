"""Faults in C: rules on tokens, and on the assembly inside strings (assembly_faults.py)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

from tests.mutation import assembly_faults
from tests.mutation.c_text import Token, reachable, tokens
from tests.mutation.fault import Edit, Fault, numbered

_OTHER = {"+": "-", "-": "+", "*": "+", "+=": "-=", "-=": "+=", "<<": ">>", ">>": "<<", "&": "|"}
_EDGE = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
_NARROWER = {"int64_t": "int32_t", "uint64_t": "uint32_t", "int32_t": "int16_t"}
_COMMUTES = {"edgeq_smmulr", "edgeq_srdhm", "edgeq_high_multiply", "edgeq_high_product"}
_SUMS = re.compile(r"acc\w*|total|sums?|squares|squared_sums|both|low|high|upper|lower|v|wide")
_TYPE = re.compile(r"(?:const )?(?:u?int\d+_t|char|bool) ?\*?$")
_PADDING = re.compile(r"padding(_top|_left)?|pad\w*|left|top|inside|missing|first")


def c_faults(texts: Mapping[str, str], roots: Sequence[str]) -> list[Fault]:
    """Every fault that the rules plant into what `roots` need of these files, by name and text."""
    found = []
    spans: dict[str, list[tuple[int, int]]] = {}
    for piece in (p for p in reachable(texts, roots) if not p.is_type):
        spans.setdefault(piece.file, []).append((piece.start, piece.end))
    for file, parts in spans.items():
        for fault in _every(file, texts[file]):
            if any(a <= fault.edit.start < b for a, b in parts):
                found.append(fault)
    return found


@lru_cache(maxsize=256)
def _every(file: str, text: str) -> tuple[Fault, ...]:
    return tuple(numbered(file, text, _edits(text, tokens(text))))


def _edits(text: str, every: Sequence[Token]) -> Iterator[Edit]:
    for i, token in enumerate(every):
        before = every[i - 1] if i else Token("sign", ";", 0, 0)
        after = every[i + 1] if i + 1 < len(every) else Token("sign", ";", len(text), len(text))
        if token.kind == "string":
            yield from assembly_faults.edits(token.text, token.start)
        elif token.kind == "number":
            if not _sizes_an_array(every, i):
                yield from _number(token, before, _depth_of_index(every, i))
        elif token.kind == "name":
            yield from _name(text, every, i)
        elif token.text == "[":
            yield from _index(text, every, i)
        else:
            chained = i >= 2 and every[i - 2].text == token.text  # a >> b >> c
            yield from _sign(text, token, before, after, chained)
    yield from _statements(text, every)
    yield from _copies(text)


def _number(token: Token, before: Token, inside_index: bool) -> Iterator[Edit]:
    m = re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)", token.text)
    if m is None:
        return
    value = int(m[1], 0)
    kind = "constant"
    if before.text in ("<<", ">>", "<<=", ">>="):
        kind = "shift"
    elif value in (126, 127, 128, 255, 256):
        kind = "extreme"
    elif inside_index:
        kind = "index"
    step = 1 if m[1][:2] in ("0x", "0X") or value < 2**16 else value >> 6  # else it is rounded away
    loop = before.text == ">="  # of whole groups: whatever it leaves, the loop behind it takes
    for name, new in (("more", value + step), ("less", value - step)):
        if new >= 0 and not (loop and name == "more"):
            shown = f"0x{new:X}" if m[1][:2] in ("0x", "0X") else str(new)
            yield Edit(kind, f"{kind}-{name}", token.start, token.end, shown + m[2])


def _sizes_an_array(every: Sequence[Token], i: int) -> bool:
    """int32_t a[4]"""
    return i >= 3 and every[i - 1].text == "[" and every[i - 3].kind == "name"


def _depth_of_index(every: Sequence[Token], i: int) -> bool:
    depth = 0
    for token in reversed(every[max(0, i - 12) : i]):
        if token.text in ("]", "["):
            depth += 1 if token.text == "[" else -1
        if depth > 0 or token.text in (";", "{", "}"):
            break
    return depth > 0


def _index(text: str, every: Sequence[Token], i: int) -> Iterator[Edit]:
    """a[i] to a[i + 1]; declarations of arrays stay."""
    if i < 2 or every[i - 1].kind != "name" or every[i - 2].kind == "name":
        return
    depth = 0
    for token in every[i:]:
        depth += (token.text == "[") - (token.text == "]")
        if depth == 0:
            at = token.start
            yield Edit("index", "index-next", at, at, " + 1")
            yield Edit("index", "index-before", at, at, " - 1")
            return


def _sign(text: str, token: Token, before: Token, after: Token, chained: bool) -> Iterator[Edit]:
    value = before.kind in ("name", "number") or before.text in (")", "]")
    apart = text[token.start - 1 : token.start].isspace() and text[token.end : token.end + 1] == " "
    simple = before.kind in ("name", "number") and after.kind in ("name", "number")
    if token.text in _OTHER and value and apart and before.text not in _NARROWER:
        kind = "shift" if token.text in ("<<", ">>") else "operand"
        yield Edit(kind, f"{kind}-{token.text}", token.start, token.end, _OTHER[token.text])
    if token.text in ("-", "<<", ">>") and simple and apart and not chained:
        new = f"{after.text} {token.text} {before.text}"
        yield Edit("operand", "operand-swapped", before.start, after.end, new)
    if token.text in _EDGE and value and apart and not _is_extremum(text, token):
        yield Edit("edge", f"edge-{token.text}", token.start, token.end, _EDGE[token.text])
    if token.text == "++" and before.kind == "name" and after.text == ")":
        yield Edit("row", "row-every-second", token.start, token.end, " += 2")
    if token.text == "<" and value and apart and after.kind == "name":
        yield Edit("row", "row-last", after.start, after.start, "1 + ")
    if token.text == "?":
        yield from _choice(text, token)


_SUM = r"([\w.>\[\]+-]+(?: [-+*] [\w.>]+)*)"
_EXTREMUM = re.compile(rf"{_SUM} ([<>]=?) {_SUM} \? ([^?:;]+) : ([^?:;,)]+)")


def _is_extremum(text: str, token: Token) -> bool:
    """a < b ? a : b, also with 0 and signs: where both are equal it does not matter which."""
    line = text[text.rfind("\n", 0, token.start) + 1 : (text + "\n").find("\n", token.end)]
    offset = text.rfind("\n", 0, token.start) + 1
    for m in _EXTREMUM.finditer(line):
        if offset + m.start(2) == token.start:
            ends = {part.strip().lstrip("-") for part in (m[4], m[5])}
            return ends <= {m[1].lstrip("-"), m[3].lstrip("-")}
    return False


def _choice(text: str, token: Token) -> Iterator[Edit]:
    m = re.match(r"\? ([^?:;,()]+) : ([^?:;,()]+)(?=[;,)])", text[token.start :])
    if m:
        start = token.start
        yield Edit("operand", "operand-branches", start, start + m.end(), f"? {m[2]} : {m[1]}")


def _name(text: str, every: Sequence[Token], i: int) -> Iterator[Edit]:
    token = every[i]
    after = every[i + 1].text if i + 1 < len(every) else ";"
    before = every[i - 1].text if i else ";"
    first = i  # of a->b.c, where the expression begins
    while first >= 2 and every[first - 1].text in ("->", ".") and every[first - 2].kind == "name":
        first -= 2
    start, whole = every[first].start, text[every[first].start : token.end]
    declared = _TYPE.search(text[: every[first].start].rstrip())
    read = after not in ("=", "(", "[", "->", ".", "++", "--", "+=", "-=", ">>=") and not declared
    if token.text in _NARROWER and after != "*":
        sums = i + 1 < len(every) and _SUMS.fullmatch(after)
        if token.text != "int32_t" or sums:
            yield Edit("extreme", "extreme-narrow", token.start, token.end, _NARROWER[token.text])
    if not read or before in ("*", "&", "++", "--", "."):
        return
    if "zero" in token.text and token.text != "zeros":
        yield Edit("zero point", "zero-none", start, token.end, "0")
        yield Edit("zero point", "zero-more", start, token.end, f"({whole} + 1)")
    elif _PADDING.fullmatch(token.text):
        yield Edit("edge", "edge-padding", start, token.end, f"({whole} + 1)")
    elif token.text in ("activation_min", "activation_max", "low", "high", "largest"):
        yield Edit("extreme", "extreme-bound", start, token.end, f"({whole} + 1)")
    elif token.text == "INT64_MIN":
        yield Edit("extreme", "extreme-bound", start, token.end, "0")


def _statements(text: str, every: Sequence[Token]) -> Iterator[Edit]:
    """A line that adds to something is dropped; the first two arguments of a call change places."""
    starts = {t.start for t in every if t.kind != "string"}
    for m in re.finditer(r"(?m)^[ \t]+([\w\[\].*>+-]+ (?:[-+]|>>)?= [^;{}\"]*);", text):
        if m.start(1) in starts and not _TYPE.search(m[1].split("=")[0].rsplit(" ", 2)[0]):
            yield Edit("row", "row-statement", m.start(1), m.end(1), "")
    for m in re.finditer(r"\b(edgeq_\w+)\((\w+), ([\w.>-]+)(?=[,)])", text):
        if m.start() in starts and m[1] not in _COMMUTES and m[2] != m[3]:
            new = f"{m[1]}({m[3]}, {m[2]}"
            yield Edit("operand", "operand-arguments", m.start(), m.end(), new)


_COPY = re.compile(r"(?m)^[ \t]+(\w+)\[(\w+)\] = (\w+)\[(\w+)\];$")


def _copies(text: str) -> Iterator[Edit]:
    """a[i] = b[i] of a loop: either array backwards. Of two in a row that change what the other
    reads, the order is another, and the first takes what the second takes."""
    found = [m for m in _COPY.finditer(text) if m[2] == m[4] and _bound(text, m.start(), m[2])]
    for m in found:
        mirrored = f"{_bound(text, m.start(), m[2])} - 1 - {m[2]}"
        for group in (2, 4):
            yield Edit("index", "index-mirrored", m.start(group), m.end(group), mirrored)
    for a, b in pairwise(found):
        if a.end() + 1 == b.start() and a[3] == b[1]:
            start, swapped = a.start(), f"{b[0]}\n{a[0]}"
            yield Edit("operand", "operand-order", start, b.end(), swapped)
            yield Edit("operand", "operand-source", a.start(3), a.end(3), b[3])


def _bound(text: str, at: int, name: str) -> str:
    """What `name` runs up to in the loop whose first lines these are; empty without one."""
    loops = list(
        re.finditer(rf"for \([^;{{}}]*\b{name} = 0; {name} < ([\w.>-]+); {name}\+\+\)", text[:at])
    )
    return loops[-1][1] if loops and "}" not in text[loops[-1].end() : at] else ""
