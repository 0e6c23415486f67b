"""`edgeq farm list`: the places of a coordinator, and who holds them."""

from pathlib import Path
from typing import Any

from edgeq.places import find_labgrid, read_places


def farm_list(labgrid: str | Path | None = None, coordinator: str | None = None) -> dict[str, Any]:
    """Each place with its board, holder (None: free) and serial ports; as `edgeq farm list`.

    Raises Toolchain without labgrid, Link without its coordinator.
    """
    client = find_labgrid(labgrid, coordinator)
    return {
        "coordinator": client.where,
        "places": [
            {
                "name": place.name,
                "board": place.board,
                "holder": place.holder,
                "ports": [serial.url for serial in place.serials],
                "virtual": place.virtual,
            }
            for place in read_places(client)
        ],
    }
