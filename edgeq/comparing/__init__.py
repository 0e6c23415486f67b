"""Two runs of the same data, paired by input: what changed, and whether that is shown."""

from edgeq.comparing.comparison import compare, refuse_failures

__all__ = ["compare", "refuse_failures"]
