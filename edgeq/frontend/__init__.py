"""Loaders: a model becomes a Graph. Own .onnx and .tflite files as inputs come later."""
