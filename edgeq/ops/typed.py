"""Plain JSON values as the fields of a dataclass: every type checked, nothing converted."""

import dataclasses
import types
from collections.abc import Hashable
from functools import lru_cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def typed(kind: type[T], value: object, where: str) -> T:
    """The dataclass `kind` from a JSON object: tuples from lists, all else as it is.

    Raises ValueError naming `where` for another type, and for a missing or unknown field.
    """
    hints = _hints(cast(Hashable, kind))
    if not isinstance(value, dict) or value.keys() != hints.keys():
        given = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise ValueError(f"{where} holds {str(given)[:80]}, not {sorted(hints)}")
    return kind(**{k: _field(hint, value[k], f"{where}.{k}") for k, hint in hints.items()})


def _field(hint: object, value: object, where: str) -> object:
    """`value` as `hint` asks."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return typed(hint, value, where)
    origin = get_origin(hint)
    if origin is tuple:
        return _tuple(get_args(hint), value, where)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        return _field(next(h for h in get_args(hint) if h is not type(None)), value, where)
    if hint is float and type(value) is int:
        return value
    if isinstance(hint, type) and hint is not Any and type(value) is not hint:
        raise ValueError(f"{where} is {type(value).__name__}, not {hint.__name__}")
    return value


def _tuple(hints: tuple[object, ...], value: object, where: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{where} is {type(value).__name__}, not a list")
    if hints[-1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if len(hints) != len(value):
        raise ValueError(f"{where} has {len(value)} items, not {len(hints)}")
    return tuple(_field(h, v, where) for h, v in zip(hints, value, strict=True))


@lru_cache(maxsize=64)
def _hints(kind: Hashable) -> dict[str, Any]:
    assert isinstance(kind, type)
    assert dataclasses.is_dataclass(kind)
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: hint for name, hint in get_type_hints(kind).items() if name in names}
