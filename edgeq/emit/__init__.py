"""Siblings emitted from the one graph: ONNX, TFLite and C firmware."""
