"""The proofs of an export: trained model, firmware, ONNX and TFLite against the one reference."""

from edgeq.prove.check import Check
from edgeq.prove.export import Subject, prove_export

__all__ = ["Check", "Subject", "prove_export"]
