"""The one representation of a model, from loader to emitters."""

from edgeq.ir.graph import Graph, Node, Quant, Stream, TensorType

__all__ = ["Graph", "Node", "Quant", "Stream", "TensorType"]
