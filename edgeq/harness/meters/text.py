"""`edgeq meters` for people."""

import textwrap
from typing import Any

from edgeq.plain_text import plain


def meters_text(facts: dict[str, Any]) -> str:
    """One line a meter: where it is, and what it can do."""
    facts = plain(facts)
    lines = []
    for meter in facts["meters"]:
        if not meter["usb_ids"]:
            where = "always there: energy per cycle of the board file"
        elif meter["ports"]:
            where = f"attached at {', '.join(meter['ports'])}"
        else:
            where = "attached" if meter["attached"] else "not attached"
        lines.append(f"{meter['name']:11} {meter['title']:11} {where}")
        if meter["rates_hz"]:
            rates = meter["rates_hz"]
            most = f"up to {rates[-1]:,} samples/s" if len(rates) > 1 else f"{rates[0]:,} samples/s"
            extra = f"; needs edgeq[{meter['extra']}]" if meter["extra"] else ""
            said = f"{most}; marker: {meter['marks']}{extra}"
            lines += [f"{'':23} {line}" for line in textwrap.wrap(said, 56, break_on_hyphens=False)]
    return "\n".join(lines)
