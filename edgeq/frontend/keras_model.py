"""A Keras model, or a file of one, as a float .tflite, by TensorFlow's own converter."""

import os
from pathlib import Path
from typing import Any

from edgeq.errors import BadInput, UnsupportedOp
from edgeq.extras import install

EXTRA = install("tensorflow")


def tflite_of(model: object) -> bytes:
    """The file's bytes. Raises BadInput without TensorFlow and for what is no Keras model,
    UnsupportedOp for what the converter refuses.
    """
    tf = _tensorflow()
    if isinstance(model, str | os.PathLike):
        converter = _of_file(tf, Path(model))
    elif isinstance(model, tf.keras.Model):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
    else:
        raise BadInput(
            f"from_keras takes a Keras model or the path of one, got {type(model).__name__}"
        )
    try:
        return bytes(converter.convert())
    except Exception as error:  # whatever the converter says
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise UnsupportedOp(f"TensorFlow cannot convert the model: {said}") from error


def _tensorflow() -> Any:  # noqa: ANN401  # a module without types
    try:
        import tensorflow as tf  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError as error:
        raise BadInput(f"Keras models need TensorFlow: {EXTRA}") from error
    return tf


def _of_file(tf: Any, path: Path) -> Any:  # noqa: ANN401
    if not path.exists():
        raise BadInput(f"{path} does not exist")
    if path.is_dir():
        return tf.lite.TFLiteConverter.from_saved_model(str(path))
    try:
        loaded = tf.keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever a damaged file makes it raise
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise BadInput(f"{path} is no model that Keras loads: {said}") from error
    return tf.lite.TFLiteConverter.from_keras_model(loaded)
