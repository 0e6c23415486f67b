"""Boards of a farm: the places of a labgrid coordinator, asked by process (docs/farm.md)."""

from edgeq.places.hold import held
from edgeq.places.labgrid import Labgrid, find_labgrid
from edgeq.places.place import Place, Serial, read_places

__all__ = ["Labgrid", "Place", "Serial", "find_labgrid", "held", "read_places"]
