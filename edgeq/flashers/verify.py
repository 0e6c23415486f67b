"""Does the board run what was written? It reports its firmware's digest over the serial port."""

import contextlib
import time

from edgeq import errors
from edgeq.flashers.processes import stop
from edgeq.harness.link import BoardLink

ANSWER_S = 20.0  # a probe that restarts, a boot, and a desktop that looks at each new port
EMULATED_ANSWER_S = 120.0  # as fast as this computer has time for it
_ASK_S, _CALM_S = 3.0, 0.2


def verify(port: str, digest: str, baud: int = 115200, deadline_s: float = ANSWER_S) -> None:
    """Asks the firmware at `port` for its digest until it answers or the deadline passes.

    Raises Mismatch when it is another firmware's, BoardLink when nothing answers.
    """
    found = _reported(port, baud, time.monotonic() + deadline_s)
    if found != digest:
        raise errors.Mismatch(
            f"{port}: the board runs firmware {found[:16]}, written was {digest[:16]}: it was not "
            "written, or not restarted; press reset, or try another tool with --with"
        )


def verify_or_stop(port: str, digest: str, baud: int, pid: int | None) -> None:
    """`verify`; an emulated board (`pid`) that does not pass, or is interrupted, is stopped."""
    try:
        verify(port, digest, baud, ANSWER_S if pid is None else EMULATED_ANSWER_S)
    except BaseException:
        if pid is not None:
            with contextlib.suppress(errors.EdgeqError):  # it may have ended by itself
                stop(str(pid))
        raise


def _reported(port: str, baud: int, deadline: float) -> str:
    while True:
        try:
            with BoardLink.open(port, timeout=_ASK_S, baud=baud) as link:
                return link.info().firmware_digest
        except errors.Link as error:  # also a port that is not back yet
            if time.monotonic() >= deadline:
                raise errors.Link(
                    f"written, but not verified: {error}; --port PORT names another port, "
                    "--no-verify skips this"
                ) from None
        time.sleep(_CALM_S)
