"""Whether an inference takes the same time for every input: read from the ELF, and traced."""

from edgeq.constant_time.audit import Audit, audit
from edgeq.constant_time.call_graph import CallGraph
from edgeq.constant_time.inference import trace_inference
from edgeq.constant_time.trace import Trace

__all__ = ["Audit", "CallGraph", "Trace", "audit", "trace_inference"]
