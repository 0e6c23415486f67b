"""The risk promise against populations whose disagreement is known; docs/thresholds.md."""
