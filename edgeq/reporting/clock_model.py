"""What a modelled cycle count rests on: the core's rules and the board's constants."""

from typing import Any

from edgeq.board import Board
from edgeq.sim.cores import CORES


def clock_model(board: Board) -> dict[str, Any]:
    """`rules`: the version of the core's timing table; `constants`: the board file's numbers."""
    constants: dict[str, int | bool] = {
        "first_load_extra": board.first_load_extra,
        "flash_wait_states": board.flash.wait_states,
    }
    cache = board.flash.cache
    if board.flash.wait_states and cache is not None:
        known = cache.model_dump(exclude={"source"})
        constants |= {f"cache_{key}": value for key, value in known.items()}
    return {"rules": CORES[board.core].rules_version, "constants": constants}


def clock_words(model: dict[str, Any]) -> str:
    """ "rules cortex-m4/1 (first_load_extra 1, ...)", with what the model leaves out."""
    known = model["constants"]
    constants = ", ".join(f"{key} {value}" for key, value in known.items())
    if known["flash_wait_states"] and "cache_miss_cycles" not in known:
        constants += " whose cost is not modelled"
    return f"rules {model['rules']} ({constants})"


def without_rules(note: str) -> str:
    """A note that ends in `clock_words`, without them.

    >>> without_rules("not from silicon: rules cortex-m4/1 (first_load_extra 0)")
    'not from silicon'
    """
    return note.partition(": rules ")[0]
