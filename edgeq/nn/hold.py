"""How long an escalation is held, where rows follow on one another (ops/hold.py)."""

from edgeq.errors import BadInput
from edgeq.ops.hold import MOST_HOLD


def checked_hold(hold: object) -> int:
    """How many rows are escalated behind an unsure one. BadInput for no whole number of them."""
    if not isinstance(hold, int) or isinstance(hold, bool) or not 0 <= hold <= MOST_HOLD:
        raise BadInput(f"hold is {str(hold)[:40]}; give whole rows, 0 to {MOST_HOLD:,}")
    return hold
