"""Faults in Python: rules on the syntax tree, planted as edits of the text."""

import ast
from collections.abc import Iterator

from tests.mutation.fault import Edit, Fault, numbered

_OTHER: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "//"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
_EDGE: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
_INSTEAD = {
    "min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum",
    "any": "all", "all": "any", "int8": "uint8", "int16": "uint16", "uint16": "uint8",
    "uint8": "int8", "swapaxes": "reshape",
}  # fmt: skip
_SHIFTS = (ast.LShift, ast.RShift)


def python_faults(file: str, text: str) -> list[Fault]:
    """Every fault that the rules plant into a module; annotations and docstrings stay."""
    return numbered(file, text, _Planter(text).edits())


class _Planter:
    def __init__(self, text: str) -> None:
        self.text, self.tree = text, ast.parse(text)
        self.lines = [0]
        for line in text.encode().splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))
        self.bytes = text.encode()
        self.parents = {
            child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)
        }

    def edits(self) -> Iterator[Edit]:
        for node in ast.walk(self.tree):
            if not hasattr(node, "lineno") or self._is_said_only(node):
                continue
            if isinstance(node, ast.Constant):
                yield from self._constant(node)
            elif isinstance(node, ast.BinOp):
                yield from self._operator(node)
            elif isinstance(node, ast.Compare) and len(node.ops) == 1:
                yield from self._comparison(node)
            elif isinstance(node, ast.IfExp):
                parts = (node.body, node.orelse)
                yield self._swapped("operand", "operand-branches", *parts)
            elif isinstance(node, ast.Attribute | ast.Name):
                yield from self._name(node)
            elif isinstance(node, ast.Call) and len(node.args) >= 2:
                if ast.dump(node.args[0]) != ast.dump(node.args[1]):
                    yield self._swapped("operand", "operand-arguments", *node.args[:2])
            elif isinstance(node, ast.UnaryOp):
                start, end = self._span(node)
                yield Edit("operand", "operand-sign", start, end, self._of(node.operand))
            elif isinstance(node, ast.AugAssign):
                yield Edit("row", "row-statement", *self._span(node), "pass")
            elif isinstance(node, ast.Subscript):
                yield from self._subscript(node)

    def _is_said_only(self, node: ast.AST) -> bool:
        """In an annotation, an error's text, a default or a decorator."""
        below: ast.AST = node
        while below in self.parents:
            above = self.parents[below]
            if below is getattr(above, "annotation", None) or below is getattr(above, "returns", 0):
                return True
            if isinstance(above, ast.Raise | ast.Import | ast.ImportFrom):
                return True
            if isinstance(above, ast.FunctionDef | ast.ClassDef) and (
                below in above.decorator_list or below in getattr(above, "bases", ())
            ):
                return True
            below = above
        return False

    def _position(self, line: int, column: int) -> int:
        return len(self.bytes[: self.lines[line - 1] + column].decode())

    def _span(self, node: ast.AST) -> tuple[int, int]:
        start = self._position(node.lineno, node.col_offset)  # type: ignore[attr-defined]
        end = self._position(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
        return start, end

    def _of(self, node: ast.AST) -> str:
        start, end = self._span(node)
        return self.text[start:end]

    def _constant(self, node: ast.Constant) -> Iterator[Edit]:
        if type(node.value) is bool:
            yield Edit("constant", "constant-bool", *self._span(node), str(not node.value))
        if type(node.value) is not int:
            return
        kind, above = "constant", self.parents.get(node)
        while isinstance(above, ast.UnaryOp | ast.Slice | ast.Tuple):
            above = self.parents.get(above)
        if node.value in (127, 128, 255, 256):
            kind = "extreme"
        elif isinstance(above, ast.Subscript):
            kind = "index"
        elif isinstance(above, ast.BinOp) and isinstance(above.op, _SHIFTS):
            kind = "shift"
        for name, new in (("more", node.value + 1), ("less", node.value - 1)):
            if new >= 0:
                yield Edit(kind, f"{kind}-{name}", *self._span(node), str(new))

    def _between(self, left: ast.AST, right: ast.AST, old: str, new: str) -> tuple[int, int, str]:
        start = self._span(left)[1]
        at = self.text.index(old, start)
        assert at < self._span(right)[0]
        return at, at + len(old), new

    def _operator(self, node: ast.BinOp) -> Iterator[Edit]:
        if type(node.op) not in _OTHER:
            return
        old, new = _OTHER[type(node.op)]
        kind = "shift" if isinstance(node.op, _SHIFTS) else "operand"
        yield Edit(kind, f"{kind}-{old}", *self._between(node.left, node.right, old, new))
        if isinstance(node.op, ast.Sub | ast.FloorDiv | ast.Mod | ast.LShift):
            yield self._swapped("operand", "operand-swapped", node.left, node.right)

    def _comparison(self, node: ast.Compare) -> Iterator[Edit]:
        if type(node.ops[0]) in _EDGE:
            old, new = _EDGE[type(node.ops[0])]
            where = self._between(node.left, node.comparators[0], old, new)
            yield Edit("edge", f"edge-{old}", *where)

    def _swapped(self, kind: str, operator: str, first: ast.AST, second: ast.AST) -> Edit:
        (start, middle), (later, end) = self._span(first), self._span(second)
        new = self._of(second) + self.text[middle:later] + self._of(first)
        return Edit(kind, operator, start, end, new)

    def _name(self, node: ast.Attribute | ast.Name) -> Iterator[Edit]:
        name = node.attr if isinstance(node, ast.Attribute) else node.id
        start, end = self._span(node)
        if name in _INSTEAD and isinstance(node.ctx, ast.Load):
            at = end - len(name)
            kind = "extreme" if name[:3] in ("min", "max", "int", "uin") else "edge"
            yield Edit(kind, f"{kind}-{name}", at, end, _INSTEAD[name])
        above = self.parents.get(node)
        called = isinstance(above, ast.Call) and above.func is node
        if called or not isinstance(node.ctx, ast.Load) or isinstance(above, ast.Attribute):
            return
        whole = self.text[start:end]
        if "zero" in name and name != "zeros":
            yield Edit("zero point", "zero-none", start, end, "0")
            yield Edit("zero point", "zero-more", start, end, f"({whole} + 1)")
        elif "pad" in name and not isinstance(above, ast.Starred):
            yield Edit("edge", "edge-padding", start, end, f"({whole} + 1)")

    def _subscript(self, node: ast.Subscript) -> Iterator[Edit]:
        """a[:n] to a[:n - 1], a[n:] to a[n + 1:], a[i] to a[i + 1]."""
        part = node.slice
        if isinstance(part, ast.Slice):
            for end, operator, more in (
                (part.upper, "row-last", " - 1"),
                (part.lower, "row-first", " + 1"),
            ):
                if end is not None and not isinstance(end, ast.Constant):
                    at = self._span(end)[1]
                    yield Edit("row", operator, at, at, more)
        elif isinstance(part, ast.Name | ast.BinOp):
            at = self._span(part)[1]
            yield Edit("index", "index-next", at, at, " + 1")
