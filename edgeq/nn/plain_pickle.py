"""The pickle inside a model file, as data: dicts, lists, numbers, text and whole dense tensors.

A model file comes from strangers, and torch.load, with weights_only too, believes the sizes that a
pickle states: of a storage (read past its end) and of a tensor (memory made as asked). This reads
the few opcodes that torch.save writes for plain data, calls nothing, and holds every size to the
bytes that are there. Opcodes: pickletools; the rest: torch.serialization's _save.
"""

import math
import pickletools
from collections.abc import Callable
from typing import Any, TypeGuard, TypeVar

import torch

DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
}
REBUILD, ORDERED = "torch._utils _rebuild_tensor_v2", "collections OrderedDict"
MAX_AXES = 8
_VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
_FIXED: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}

_Bytes = Callable[[str], bytes]


class _Mark:
    """Where a run of items begins on the stack."""


class _Named:
    """A name that a pickle may mention: a type of storage, or what rebuilds a tensor."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Storage:
    """The numbers of one tensor: their type, how many, and the entry that holds them."""

    def __init__(self, dtype: torch.dtype, key: str, count: int) -> None:
        self.dtype, self.key, self.count = dtype, key, count


def read_plain(data: bytes, storage: _Bytes) -> object:
    """The object of pickle `data`. `storage` gives the bytes of a tensor by its key.

    Raises ValueError for everything that torch.save would not write for plain data and tensors.
    """
    machine = _Machine(storage)
    for opcode, argument, _ in pickletools.genops(data):
        machine.step(opcode.name, argument)
    if len(machine.stack) != 1 or isinstance(machine.stack[0], _Mark | _Named | _Storage):
        raise ValueError("its pickle does not end in one object")
    return machine.stack[0]


_Kind = TypeVar("_Kind")


class _Machine:
    def __init__(self, storage: _Bytes) -> None:
        self.stack: list[Any] = []
        self._memo: dict[object, Any] = {}
        self._storage = storage
        self._used: set[str] = set()

    def step(self, name: str, argument: object) -> None:
        """One opcode."""
        if name in ("PROTO", "STOP"):
            return
        if name in _VALUES:
            self.stack.append(argument)
        elif name == "BINUNICODE":
            str(argument).encode()  # a lone surrogate is no text: UnicodeEncodeError, a ValueError
            self.stack.append(argument)
        elif name in _FIXED:
            self.stack.append(_FIXED[name]())
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._top(object)
        elif name in ("BINGET", "LONG_BINGET"):
            if argument not in self._memo:
                raise ValueError(f"its pickle recalls {argument}, which it never noted")
            self.stack.append(self._memo[argument])
        elif name == "GLOBAL":
            self.stack.append(_named(str(argument)))
        else:
            self._build(name)

    def _build(self, name: str) -> None:
        if name == "MARK":
            self.stack.append(_Mark())
        elif name in _TUPLES:
            self.stack.append(tuple(self._pop(_TUPLES[name])))
        elif name == "TUPLE":
            self.stack.append(tuple(self._pop_to_mark()))
        elif name in ("APPEND", "APPENDS"):
            items = self._pop(1) if name == "APPEND" else self._pop_to_mark()
            self._top(list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            self._set(self._pop(2) if name == "SETITEM" else self._pop_to_mark())
        elif name == "BUILD":  # attributes of a dict, as of a bare state dict: not wanted
            self._pop(1)
            self._top(dict)
        elif name == "BINPERSID":
            self.stack.append(_storage(self._pop(1)[0]))
        elif name == "REDUCE":
            self.stack.append(self._reduce(*self._pop(2)))
        else:
            raise ValueError(f"its pickle uses {name}, which plain data never needs")

    def _set(self, items: list[Any]) -> None:
        keys, values = items[0::2], items[1::2]
        if len(keys) != len(values) or not all(isinstance(key, str) for key in keys):
            raise ValueError("a key of one of its dicts is no text")
        self._top(dict).update(zip(keys, values, strict=True))

    def _reduce(self, what: object, arguments: object) -> object:
        name = what.name if isinstance(what, _Named) else ""
        if name == ORDERED and arguments == ():
            return {}
        if name != REBUILD or not isinstance(arguments, tuple) or len(arguments) != 6:
            raise ValueError("its pickle calls something")
        return self._tensor(*arguments[:4])

    def _tensor(
        self, storage: object, offset: object, size: object, stride: object
    ) -> torch.Tensor:
        if not isinstance(storage, _Storage) or not _sizes(size) or not _sizes(stride):
            raise ValueError("a tensor of it has no size")
        if type(offset) is not int or offset != 0 or math.prod(size) != storage.count:
            raise ValueError(f"a tensor of size {size} does not fill its {storage.count} numbers")
        if len(size) != len(stride) or not _contiguous(size, stride):
            raise ValueError(f"a tensor of it is not contiguous: size {size}, stride {stride}")
        if storage.key in self._used:
            raise ValueError("two of its tensors share their numbers")
        self._used.add(storage.key)
        data = self._storage(storage.key)
        if len(data) != storage.count * storage.dtype.itemsize:
            raise ValueError(f"a tensor of size {size} has {len(data):,} bytes in the file")
        if not data:
            return torch.empty(size, dtype=storage.dtype)
        return torch.frombuffer(bytearray(data), dtype=storage.dtype).reshape(size)

    def _top(self, kind: type[_Kind]) -> _Kind:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise ValueError("its pickle fills something that is not there")
        return self.stack[-1]

    def _pop(self, count: int) -> list[Any]:
        items = self.stack[-count:]
        if len(items) < count or any(isinstance(item, _Mark) for item in items):
            raise ValueError("its pickle takes what is not there")
        del self.stack[-count:]
        return items

    def _pop_to_mark(self) -> list[Any]:
        for at in range(len(self.stack) - 1, -1, -1):
            if isinstance(self.stack[at], _Mark):
                items = self.stack[at + 1 :]
                del self.stack[at:]
                return items
        raise ValueError("its pickle closes what it never opened")


def _named(name: str) -> _Named:
    module, _, kind = name.partition(" ")
    if name not in (REBUILD, ORDERED) and (module != "torch" or kind not in DTYPES):
        raise ValueError(f"its pickle asks for {name[:80]}")
    return _Named(name)


def _storage(value: object) -> _Storage:
    """("storage", type, key, place, count) as torch.save names one."""
    if not isinstance(value, tuple) or len(value) != 5 or value[0] != "storage":
        raise ValueError("its pickle names a storage in an unknown way")
    kind, key, count = value[1], value[2], value[4]
    dtype = DTYPES.get(kind.name.partition(" ")[2]) if isinstance(kind, _Named) else None
    if dtype is None or not isinstance(key, str) or type(count) is not int or count < 0:
        raise ValueError("its pickle names a storage in an unknown way")
    return _Storage(dtype, key, count)


def _sizes(value: object) -> TypeGuard[tuple[int, ...]]:
    if not isinstance(value, tuple) or len(value) > MAX_AXES:
        return False
    return all(type(n) is int and 0 <= n < 2**40 for n in value)


def _contiguous(size: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether the numbers stand in order without gaps; the stride of one item says nothing."""
    wanted = 1
    for n, step in zip(reversed(size), reversed(stride), strict=True):
        if n > 1 and step != wanted:
            return 0 in size
        wanted *= n
    return True
