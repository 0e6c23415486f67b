"""Results as JSON objects, text and pages: what `edgeq` shows of an export or a profile."""
