"""A place held for as long as a block runs, and released whatever ends it."""

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from edgeq.errors import BadInput, EdgeqError, Link, Taken
from edgeq.interrupts import interrupt_waits
from edgeq.places.labgrid import Labgrid
from edgeq.places.place import Place, read_place
from edgeq.plain_text import command


def myself() -> str:
    """This user as labgrid names one: HOST/USER, or what LG_HOSTNAME and LG_USERNAME say."""
    host = os.environ.get("LG_HOSTNAME") or socket.gethostname()
    return f"{host}/{os.environ.get('LG_USERNAME') or getpass.getuser()}"


@contextmanager
def held(labgrid: Labgrid, name: str, alone: bool = False) -> Iterator[Place]:
    """Acquires the place; the block has it as it then is, with its serial port.

    What this user holds already, or was allowed to share, is used and not released; `alone`
    refuses that too. Raises Taken (who holds it, what to do), BadInput for an unknown place, Link.
    """
    before = read_place(labgrid, name)
    mine = before.holder is None  # as long as it is not known: an end in the middle of it
    try:
        with interrupt_waits():
            mine = _acquire(labgrid, before, alone)
        yield read_place(labgrid, before.name)
    except Taken:
        mine = False
        raise
    except EdgeqError as error:
        left = _release(labgrid, before.name) if mine else ""
        mine = False
        raise (type(error)(f"{error}; {left}") if left else error) from None
    finally:
        left = _release(labgrid, before.name) if mine else ""
    if left:
        raise Link(left)


def _acquire(labgrid: Labgrid, place: Place, alone: bool) -> bool:
    """True if it is ours from now on; False if it was before."""
    if not alone and _usable(place):
        return False
    try:
        labgrid.run("-p", place.name, "acquire")
    except BadInput as error:
        now = read_place(labgrid, place.name)  # another may have been faster
        if now.holder is None:
            raise Link(f"place {place.name} cannot be reserved: {error}; {_LOOK}") from None
        raise Taken(_who(now)) from None
    return True


_LOOK = "is its exporter running? `edgeq farm list` shows the places"


def _usable(place: Place) -> bool:
    return place.holder is not None and myself() in (place.holder, *place.allowed)


def _who(place: Place) -> str:
    ours = place.holder == myself()
    release = command("labgrid-client", "-p", place.name, "release")
    share = command("labgrid-client", "-p", place.name, "allow", myself())
    who = f"{place.holder}{' (you, elsewhere)' if ours else ''}"
    return (
        f"place {place.name} is held by {who}; wait for them, take another place of that board "
        f"(`edgeq farm list`), or ask them: `{release}`"
        + ("" if ours else f", or to share it `{share}`")
    )


def _release(labgrid: Labgrid, name: str) -> str:
    """Lets the place go; what to do where that fails, else nothing."""
    try:
        with interrupt_waits():
            labgrid.run("-p", name, "release")
    except BadInput as error:
        if "is not acquired" in str(error) or "different user" in str(error):
            return ""  # an administrator was faster
        return _still_held(name, error)
    except EdgeqError as error:
        return _still_held(name, error)
    return ""


def _still_held(name: str, error: EdgeqError) -> str:
    again = command("labgrid-client", "-p", name, "release")
    return f"place {name} could not be released ({error}); release it with `{again}`"
