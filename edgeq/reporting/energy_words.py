"""What a modelled energy rests on, in words: a current somebody measured, or a vendor's."""

from edgeq.board import EnergyKind

ENERGY_KINDS: dict[EnergyKind, str] = {
    "measured": "measured nJ per cycle",
    "datasheet": "datasheet current",
}


def energy_words(source: str, kind: EnergyKind | None) -> str:
    """ "modelled, datasheet current"; the `source` alone where no model's `kind` is known.

    >>> energy_words("modelled", "datasheet")
    'modelled, datasheet current'
    >>> energy_words("silicon (LPM01A)", None)
    'silicon (LPM01A)'
    """
    return source if kind is None else f"{source}, {ENERGY_KINDS[kind]}"
