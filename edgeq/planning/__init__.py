"""Which width for which layer: costs counted, sensitivities weighed, an integer program solved."""

from edgeq.planning.planner import Asked, plan_widths

__all__ = ["Asked", "plan_widths"]
