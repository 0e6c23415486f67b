"""Plain JSON values as the fields of a dataclass: every type checked, nothing converted."""

import dataclasses
import types
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints


def typed(hint: Any, value: Any, where: str) -> Any:
    """`value` as `hint` asks: a dataclass from an object, a tuple from a list, else itself.

    Raises ValueError naming `where` for another type, and for a missing or unknown field.
    """
    if dataclasses.is_dataclass(hint):
        return _object(hint, value, where)
    origin = get_origin(hint)
    if origin is tuple:
        return _tuple(get_args(hint), value, where)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        return typed(next(h for h in get_args(hint) if h is not type(None)), value, where)
    if hint is float and type(value) is int:
        return value
    if hint is not Any and type(value) is not hint:
        raise ValueError(f"{where} is {type(value).__name__}, not {hint.__name__}")
    return value


def _tuple(hints: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{where} is {type(value).__name__}, not a list")
    if hints[-1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if len(hints) != len(value):
        raise ValueError(f"{where} has {len(value)} items, not {len(hints)}")
    return tuple(typed(h, v, where) for h, v in zip(hints, value, strict=True))


def _object(kind: Any, value: Any, where: str) -> Any:
    hints = _hints(kind)
    if not isinstance(value, dict) or value.keys() != hints.keys():
        given = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise ValueError(f"{where} holds {str(given)[:80]}, not {sorted(hints)}")
    return kind(**{k: typed(hint, value[k], f"{where}.{k}") for k, hint in hints.items()})


@lru_cache(maxsize=64)
def _hints(kind: Any) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: hint for name, hint in get_type_hints(kind).items() if name in names}
