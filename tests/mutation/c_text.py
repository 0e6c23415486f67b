"""C sources as tokens and named pieces, as far as planting faults takes it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<comment>/\*.*?\*/|//[^\n]*)|(?P<string>"(?:\\.|[^"\\])*")|(?P<char>'(?:\\.|[^'\\])+')
    |(?P<name>[A-Za-z_]\w*)|(?P<number>0[xX][0-9a-fA-F]+[uUlL]*|\d+[uUlL]*)
    |(?P<sign><<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/&|^]=|\S)""",
    re.VERBOSE | re.DOTALL,
)
_DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(\w+)((?:\\\n|/\*.*?\*/|[^\n])*)", re.M | re.DOTALL)
_ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)", re.DOTALL)


class Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


def tokens(text: str, start: int = 0, end: int | None = None) -> list[Token]:
    """Everything but comments and directives that are no #define, whose head is left out too."""
    stop = len(text) if end is None else end
    dropped = [
        (m.start(), m.end() if m[1] != "define" else m.start(2) + _head(m[2]))
        for m in _DIRECTIVE.finditer(text)
    ]
    found, skip = [], iter([*dropped, (len(text), len(text))])
    first, last = next(skip)
    for m in _TOKEN.finditer(text, start, stop):
        while m.start() >= last and last < len(text):
            first, last = next(skip)
        inside = first <= m.start() < last
        if m.lastgroup != "comment" and not inside and m[0] != "\\":
            found.append(Token(str(m.lastgroup), m[0], m.start(), m.end()))
    return found


def _head(rest: str) -> int:
    """Characters of a #define's name and parameters."""
    m = re.match(r"\s*\w+(\([^)]*\))?", rest)
    return m.end() if m else len(rest)


@dataclass(frozen=True)
class Piece:
    """A macro, function, type or object of a file: what it is called and what it names."""

    file: str
    start: int
    end: int
    names: frozenset[str]
    uses: frozenset[str]
    is_type: bool = False


@lru_cache(maxsize=256)
def pieces(file: str, text: str) -> list[Piece]:
    """The file cut at its macros and at the ends of its top-level declarations."""
    found = []
    blank = list(text)
    for m in _DIRECTIVE.finditer(text):
        blank[m.start() : m.end()] = " " * (m.end() - m.start())
        name = re.match(r"\s*(\w+)", m[2])
        if m[1] == "define" and name:
            uses = frozenset(re.findall(r"[A-Za-z_]\w*", m[2][name.end() :]))
            found.append(Piece(file, m.start(), m.end(), frozenset({name[1]}), uses))
    body = "".join(blank)
    return [*found, *(_piece(file, body, *span) for span in _declarations(body))]


def _declarations(body: str) -> Iterable[tuple[int, int]]:
    depth, start = 0, 0
    for m in _TOKEN.finditer(body):
        depth += (m[0] in "{(") - (m[0] in "})") if m.lastgroup == "sign" else 0
        ends = m[0] == ";" or (m[0] == "}" and not re.match(r"\s*[\w,;=]*;", body[m.end() :]))
        if depth == 0 and ends and m.lastgroup == "sign":
            yield start, m.end()
            start = m.end()


def _piece(file: str, body: str, start: int, end: int) -> Piece:
    text = re.sub(r"/\*.*?\*/", "", _ATTRIBUTE.sub("", body[start:end]), flags=re.DOTALL)
    function = re.match(r"[^({=;]*?\b(\w+)\s*\(", text)
    words = frozenset(re.findall(r"[A-Za-z_]\w*", text))
    if function and "typedef" not in text[: function.start(1)]:
        return Piece(file, start, end, frozenset({function[1]}), words)
    is_type = text.lstrip().startswith("typedef")
    return Piece(file, start, end, words, words, is_type)  # or an enum: all its names


def reachable(texts: Mapping[str, str], roots: Iterable[str]) -> list[Piece]:
    """The pieces of these files that the functions `roots` need, by name."""
    every = [piece for file, text in texts.items() for piece in pieces(file, text)]
    wanted, taken = set(roots), set[Piece]()
    while True:
        new = [p for p in every if p not in taken and p.names & wanted]
        if not new:
            return [p for p in every if p in taken]
        taken.update(new)
        wanted |= {name for p in new for name in p.uses}
