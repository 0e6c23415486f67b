"""Changes to bytes, trees, archives, arrays and pickles, drawn from a seeded generator."""

import copy
import io
import json
import pickletools
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

Rng = random.Random
Entries = list[tuple[str, bytes]]

ESCAPES = ("\x1b[2J\x1b[31mowned", "\x9b31m", "\x07\x08\r", "a\u202eb", "x\nedgeq: ok", "\ud800")
INTEGERS = (0, 1, -1, 2, 127, 128, 255, 256, 4096, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
WIDE = (*INTEGERS, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**12, 10**30)
FLOATS = (0.0, -0.0, 0.5, -1.5, 1e-320, 1e308, -1e308, float("inf"), float("-inf"), float("nan"))


def bytes_changed(rng: Rng, data: bytes) -> bytes:
    """One to four small changes: bits, bytes, cuts, copies, insertions."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(out) + 1)
        size = rng.choice((1, 1, 2, 4, 16, 64))
        kind = rng.randrange(7)
        if kind == 0 and out:
            out[at % len(out)] ^= 1 << rng.randrange(8)
        elif kind == 1 and out:
            out[at % len(out)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2:
            del out[at : at + size]
        elif kind == 3:
            out[at:at] = rng.randbytes(size)
        elif kind == 4:
            out[at:at] = out[at : at + size]
        elif kind == 5:
            other = rng.randrange(len(out) + 1)
            out[at : at + size] = out[other : other + size]
        else:
            number = rng.choice(INTEGERS) & 0xFFFFFFFF
            out[at : at + 4] = struct.pack(rng.choice(("<I", ">I")), number)
    return bytes(out[: rng.randrange(len(out) + 1)]) if rng.random() < 0.08 else bytes(out)


def odd_value(rng: Rng) -> Any:
    """What no reader should be surprised by."""
    kind = rng.randrange(9)
    if kind < 3:
        return rng.choice(WIDE)
    if kind == 3:
        return rng.choice(FLOATS)
    if kind == 4:
        return rng.choice(("", "x", "0", "none", "x" * 5000, "../../etc/passwd", *ESCAPES))
    if kind == 5:
        return rng.choice((None, True, False))
    if kind == 6:
        return rng.choice(([], {}, [[]], [{}], {"": None}, [None] * 3, {"a": {"b": []}}))
    if kind == 7:
        value: Any = 0
        for _ in range(rng.choice((3, 40, 90))):
            value = [value] if rng.random() < 0.5 else {"a": value}
        return value
    return [rng.choice(WIDE) for _ in range(rng.randrange(70))]


def places(tree: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """(container, key) of every value below."""
    keys: Sequence[Any] = ()
    if isinstance(tree, dict):
        keys = list(tree)
    elif isinstance(tree, list):
        keys = range(len(tree))
    for key in keys:
        found.append((tree, key))
        places(tree[key], found)
    return found


def tree_changed(rng: Rng, tree: Any) -> Any:
    """A JSON-like tree with one to three of its values, keys or lists changed."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        found = places(tree, [])
        if not found:
            return odd_value(rng)
        container, key = rng.choice(found)
        if not (isinstance(container, dict) and key in container) and not isinstance(
            container, list
        ):
            continue
        _change(rng, container, key, found)
    return odd_value(rng) if rng.random() < 0.01 else tree


def _change(rng: Rng, container: Any, key: Any, places: list[tuple[Any, Any]]) -> None:
    value = container[key]
    kind = rng.randrange(10)
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, dict):
        container[rng.choice(("x", "", *ESCAPES, str(key) + " "))] = container.pop(key)
    elif kind == 2 and isinstance(value, list) and value:
        value.insert(rng.randrange(len(value) + 1), copy.deepcopy(rng.choice(value)))
    elif kind == 3 and isinstance(value, int | float) and value is not True:
        container[key] = value + rng.choice((-1, 1, 0.5)) if rng.random() < 0.7 else -value
    elif kind == 4 and isinstance(value, str):
        container[key] = value + rng.choice(("x", *ESCAPES)) if rng.random() < 0.6 else value[:-1]
    elif kind == 5:
        other, place = rng.choice(places)
        if (isinstance(other, dict) and place in other) or (
            isinstance(other, list) and place < len(other)
        ):
            container[key] = copy.deepcopy(other[place])
    elif kind == 6:
        container[key] = rng.choice(([value], {"x": value}, [value, value], str(value)[:200]))
    else:
        container[key] = odd_value(rng)


def json_changed(rng: Rng, tree: Any) -> bytes:
    """A JSON text: mostly a changed tree, at times changed as text."""
    text = json.dumps(tree if rng.random() < 0.2 else tree_changed(rng, tree)).encode()
    kind = rng.random()
    if kind < 0.12:
        return bytes_changed(rng, text)
    if kind < 0.14:
        return b"\xef\xbb\xbf" + text
    if kind < 0.16:
        deep = rng.choice((50, 3000, 100_000))
        return text[:-1] + b',"x":' + b"[" * deep + b"]" * deep + b"}"
    if kind < 0.18:
        return text[:-1] + b', "format": 1' + text[1:]
    return text


def _mark_changed(rng: Rng, data: bytes, signature: bytes, at: int, size: int) -> bytes:
    """One field of one header of a zip archive set to an odd number."""
    places = [i for i in range(len(data) - 3) if data.startswith(signature, i)]
    if not places:
        return data
    start = rng.choice(places) + at
    number = rng.choice((*INTEGERS, 3 << 30, rng.getrandbits(32))) & (256**size - 1)
    return data[:start] + number.to_bytes(size, "little") + data[start + size :]


# Fields of the local header, the central one, the two ends: (signature, offset, bytes).
_FIELDS = (
    *(
        (b"PK\x03\x04", at, size)
        for at, size in ((6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2))
    ),
    *(
        (b"PK\x01\x02", at, size)
        for at, size in ((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (42, 4))
    ),
    *((b"PK\x05\x06", at, size) for at, size in ((8, 2), (10, 2), (12, 4), (16, 4), (20, 2))),
    *((b"PK\x06\x06", at, size) for at, size in ((24, 8), (32, 8), (40, 8), (48, 8))),
)


def zip_of(entries: Entries, method: int = zipfile.ZIP_STORED) -> bytes:
    """The archive of some entries, in order; its bytes depend on nothing else."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            archive.writestr(info, data)
    return out.getvalue()


def entries_of(data: bytes) -> Entries:
    """Names and bytes of an archive's entries."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def zip_changed(rng: Rng, entries: Entries) -> bytes:
    """An archive with its entries or its structure changed."""
    entries = list(entries)
    kind, at = rng.randrange(9), rng.randrange(len(entries))
    name, data = entries[at]
    method = zipfile.ZIP_STORED
    if kind == 0:
        del entries[at]
    elif kind == 1:
        odd = ("", "/", "../x", "/etc/passwd", "a/b/c", name.upper(), name + "\x1b[2J", "x" * 9000)
        entries[at] = (rng.choice(odd), data)
    elif kind == 2:
        entries[at] = (name, rng.choice((b"", data[:-1], data + b"\0", bytes(1 << 16))))
    elif kind == 3:
        entries[at] = (name, rng.choice(entries)[1])
    elif kind == 4:
        entries.append((f"{rng.choice(('x', 'code/x', 'constants.pkl', 'data/9'))}", data))
    elif kind == 5:
        method = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    elif kind == 6 and rng.random() < 0.2:
        return _bomb(rng, entries, at)
    whole = zip_of(entries, method)
    if kind >= 6:
        for _ in range(rng.choice((1, 1, 2))):
            whole = _mark_changed(rng, whole, *rng.choice(_FIELDS))
    return whole


_ZEROS = {size: zlib.compress(bytes(size), 9) for size in (1 << 16, 1 << 22)}


def _bomb(rng: Rng, entries: Entries, at: int) -> bytes:
    """An entry of many zeros, deflated; the directory claims still more."""
    entries[at] = (entries[at][0], bytes(rng.choice((1 << 16, 1 << 20))))
    whole = zip_of(entries, zipfile.ZIP_DEFLATED)
    return _mark_changed(rng, whole, b"PK\x01\x02", 24, 4)


def npy(descr: str, order: str, shape: str, data: bytes) -> bytes:
    """A .npy file with whatever header text."""
    head = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


# fmt: off
_SHAPES = (
    "()", "(0,)", "(3,)", "(-1,)", "(3, 4)", "(1000000000000, 16)", "(2, 3, 4, 5)", "3", "None",
    "(99999999999999999999,)", "(1,)*9", "(3, -4)", "((3,), 4)", "(0, 1000000000)", "(4611686,)",
    "(1, 2, 3, 4, 5, 6, 7, 8, 9, 0)",
)
_DESCRS = (
    "'<f4'", "'<f8'", "'>f4'", "'<i8'", "'|i1'", "'|O'", "'<U3'", "'|S5'", "'<M8[s]'", "'|V8'",
    "'<c8'", "'<f2'", "'|b1'", "'<u8'", "'<U1000000000'", "''", "[('a', '<f4')]", "'<g99'",
    "'<f16'", "'<i3'", "None",
)
# fmt: on


def npy_changed(rng: Rng, data: bytes) -> bytes:
    """A .npy file with its header or its numbers changed."""
    kind = rng.randrange(6)
    if kind == 0:
        return bytes_changed(rng, data)
    start = 10 + int.from_bytes(data[8:10], "little")
    if kind == 1:
        numbers = bytearray(data[start:])
        for _ in range(rng.choice((1, 3, 9))):
            at = rng.randrange(len(numbers) + 1)
            odd = rng.choice(
                (b"\x00\x00\xc0\x7f", b"\x00\x00\x80\xff", b"\xff" * 8, rng.randbytes(8))
            )
            numbers[at : at + len(odd)] = odd
        return data[:start] + bytes(numbers[: len(data) - start])
    if kind == 2:
        return data[:8] + rng.choice((b"\x00\x00", b"\xff\xff", b"\x01\x00")) + data[10:]
    if kind == 3:
        depth = rng.choice((3, 200, 9000))
        return npy("'<f4'", "False", "(" * depth + ")" * depth, data[start:])
    order = rng.choice(("False", "True", "0", "None"))
    return npy(rng.choice(_DESCRS), order, rng.choice(_SHAPES), data[start:])


def _number(value: int) -> bytes:
    """A whole number as protocol 2 writes it."""
    if 0 <= value < 256:
        return b"K" + bytes((value,))
    if -(2**31) <= value < 2**31:
        return b"J" + value.to_bytes(4, "little", signed=True)
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes((len(raw),)) + raw


def _text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + len(raw).to_bytes(4, "little") + raw


def payloads(mark: str) -> list[bytes]:
    """Pickle code that would make the file `mark`, were it run."""
    touch = _text(f"touch {mark}") + b"\x85R"
    return [
        b"cos\nsystem\n" + touch,
        b"cposix\nsystem\n" + touch,
        b"cbuiltins\neval\n" + _text(f"open({mark!r}, 'w')") + b"\x85R",
        b"csubprocess\nPopen\n(" + _text("touch") + _text(mark) + b"l\x85R",
        b"ctorch.serialization\nload\n" + _text(mark) + b"\x85R",
        b"(S'touch " + mark.encode() + b"'\nios\nsystem\n",
        b"cos\nsystem\n\x94" + _text(f"touch {mark}") + b"\x85\x81",
    ]


def pickle_changed(rng: Rng, data: bytes, mark: str) -> bytes:
    """A pickle with numbers, texts or opcodes changed, or code planted."""
    steps = [(op.name, arg, at) for op, arg, at in pickletools.genops(data)]
    ends = [at for _, _, at in steps[1:]] + [len(data)]
    pieces = [data[at:end] for (_, _, at), end in zip(steps, ends, strict=True)]
    for _ in range(rng.choice((1, 1, 2, 3))):
        kind, at = rng.randrange(9), rng.randrange(1, len(pieces) - 1)
        numbers = [i for i, (name, _, _) in enumerate(steps) if name.startswith("BININT")]
        if kind <= 2 and numbers:  # sizes, strides, offsets, counts are all of these
            pieces[rng.choice(numbers)] = _number(rng.choice(WIDE))
        elif kind == 3:
            texts = [i for i, (name, _, _) in enumerate(steps) if name == "BINUNICODE"]
            pieces[rng.choice(texts)] = _text(rng.choice(("", "x", "0", "7", "cuda:0", *ESCAPES)))
        elif kind == 4:
            pieces[at] = b""
        elif kind == 5:
            pieces[at] = pieces[at] * 2
        elif kind == 6:
            pieces[at] = rng.choice(pieces)
        elif kind == 7:
            pieces[at] = pieces[at] + rng.choice(payloads(mark)) + rng.choice((b"", b"0"))
        else:
            named = [i for i, (name, _, _) in enumerate(steps) if name == "GLOBAL"]
            odd = (b"ctorch\nBoolStorage\n", b"ctorch\nDoubleStorage\n", b"cos\nsystem\n",
                   b"ctorch._utils\n_rebuild_parameter\n", b"ctorch\nload\n")  # fmt: skip
            pieces[rng.choice(named)] = rng.choice(odd)
    return b"".join(pieces)


def chosen(rng: Rng, ways: Sequence[tuple[int, Callable[[], Any]]]) -> Any:
    """What one of the ways makes, each as often as its weight says."""
    weights, makers = zip(*ways, strict=True)
    return rng.choices(makers, weights)[0]()
