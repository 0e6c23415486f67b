"""The parameter structs of the kernels, read from edgeq_kernels.h: they are written once, in C."""

import ctypes as ct
import re
from functools import cache
from typing import Any

from pycparser import c_ast, c_parser

from edgeq.resources import templates_dir

HEADER = templates_dir() / "kernels" / "edgeq_kernels.h"
NUMBERS = {
    f"{sign}int{bits}_t": getattr(ct, f"c_{sign}int{bits}")
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}
Member = tuple[str, str]
"""(name, type): a stdint name, "int32_t[3]", "const int16_t *", or another struct's name."""


@cache
def members(struct: str) -> tuple[Member, ...]:
    """The members of a struct in order; KeyError when the header has none of that name."""
    return _all()[struct]


@cache
def _all() -> dict[str, tuple[Member, ...]]:
    text = re.sub(r"/\*.*?\*/|^#.*?$", "", HEADER.read_text(), flags=re.DOTALL | re.MULTILINE)
    prelude = "".join(f"typedef int {name};\n" for name in NUMBERS)
    found = {}
    for node in c_parser.CParser().parse(prelude + text).ext:
        if isinstance(node, c_ast.Typedef) and isinstance(node.type.type, c_ast.Struct):
            found[node.name] = tuple((d.name, _type(d.type)) for d in node.type.type.decls)
    return found


def _type(node: Any) -> str:
    if isinstance(node, c_ast.PtrDecl):
        return f"{' '.join(node.type.quals)} {_type(node.type)} *".strip()
    if isinstance(node, c_ast.ArrayDecl):
        return f"{_type(node.type)}[{node.dim.value}]"
    return " ".join(node.type.names)


def flat_members(struct: str) -> tuple[Member, ...]:
    """members() with those of structs inside it in their place, as designators write them."""
    flat: list[Member] = []
    for name, kind in members(struct):
        if kind in _all():
            flat += [(f"{name}.{inner}", k) for inner, k in flat_members(kind)]
        else:
            flat.append((name, kind))
    return tuple(flat)


@cache
def ctypes_struct(struct: str) -> type[ct.Structure]:
    """The struct as ctypes lays it out."""
    fields = [(name, _ctype(kind)) for name, kind in members(struct)]
    return type(struct, (ct.Structure,), {"_fields_": fields})


def _ctype(kind: str) -> Any:
    if kind.endswith("*"):
        return ct.c_void_p
    if array := re.fullmatch(r"(\w+)\[(\d+)\]", kind):
        return _ctype(array[1]) * int(array[2])
    if kind == "edgeq_rule":
        return ct.c_int
    return NUMBERS[kind] if kind in NUMBERS else ctypes_struct(kind)
