"""A plain stack of PyTorch layers as the same network in Keras, as its users write it."""

from typing import Any

import numpy as np
from torch import nn

AS_KERAS = ("ds_cnn", "mobilenet_v1", "autoencoder", "mlp", "accelerometer")  # networks of `nets`


def as_keras(module: nn.Module, shape: tuple[int, ...]) -> Any:
    """A keras.Model, channels last, with the weights of `module`, an nn.Sequential on `shape`.

    Raises TypeError for a layer that it does not know, ImportError without TensorFlow.
    """
    import keras

    given = keras.Input(shape[1:] + shape[:1] if len(shape) > 1 else shape)
    made = given
    for layer in module.children():
        for built, weights in _layers(keras.layers, layer):
            made = built(made)
            built.set_weights(weights)
    return keras.Model(given, made)


def _layers(layers: Any, layer: nn.Module) -> list[tuple[Any, list[Any]]]:
    """The layers of Keras that do what `layer` does, each with its weights in Keras's order."""
    match layer:
        case nn.Dropout():
            return [(layers.Dropout(layer.p), [])]
        case nn.ReLU():
            return [(layers.ReLU(), [])]
        case nn.GELU():
            return [(layers.Activation("gelu"), [])]
        case nn.Linear():
            return [(layers.Dense(layer.out_features), _arrays(layer.weight.T, layer.bias))]
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            values = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
            return [(layers.BatchNormalization(epsilon=layer.eps), _arrays(*values))]
        case nn.MaxPool1d():
            return [(layers.MaxPooling1D(layer.kernel_size), [])]
        case nn.AdaptiveAvgPool1d():
            return [(layers.GlobalAveragePooling1D(), [])]
        case nn.AdaptiveAvgPool2d():
            return [(layers.GlobalAveragePooling2D(), [])]
        case nn.Flatten():
            return [(layers.Flatten(), [])]
        case nn.Conv1d() | nn.Conv2d():
            return _convolution(layers, layer)
    raise TypeError(f"{type(layer).__name__} is no layer of these networks")


def _convolution(layers: Any, layer: nn.Conv1d | nn.Conv2d) -> list[tuple[Any, list[Any]]]:
    """Padding is a layer of its own: that of Keras stands at the end where a stride leaves one."""
    axes = len(layer.kernel_size)
    options = {"use_bias": layer.bias is not None, "strides": layer.stride}
    weight, padding = layer.weight, [(p, p) for p in layer.padding]
    found: list[tuple[Any, list[Any]]] = []
    if any(layer.padding):
        pad = layers.ZeroPadding1D(padding[0]) if axes == 1 else layers.ZeroPadding2D(padding)
        found.append((pad, []))
    if layer.groups > 1:
        conv = layers.DepthwiseConv2D(layer.kernel_size, **options)
        return [*found, (conv, _arrays(weight.permute(2, 3, 0, 1), layer.bias))]
    kind = layers.Conv1D if axes == 1 else layers.Conv2D
    conv = kind(layer.out_channels, layer.kernel_size, **options)
    order = (*range(2, 2 + axes), 1, 0)
    return [*found, (conv, _arrays(weight.permute(order), layer.bias))]


def _arrays(*values: Any) -> list[Any]:
    return [np.asarray(v.detach()) for v in values if v is not None]
