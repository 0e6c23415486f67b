"""The functions of an LSTM on int16, as TensorFlow Lite Micro computes them."""

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

# TensorFlow Lite's table of 65536 / (1 + exp(-i / 24)): rounded, but at these places one more
_ONE_MORE = (
    *(4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40),
    *(41, 43, 44, 45, 46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255),
)


def _table() -> npt.NDArray[np.uint16]:
    rounded = np.round(65536 / (1 + np.exp(-np.arange(256) / 24)))
    rounded[list(_ONE_MORE)] += 1
    return rounded.astype(np.uint16)


SIGMOID_TABLE = _table()
DEVICE_TABLE = np.append(SIGMOID_TABLE, SIGMOID_TABLE[-1])  # where a line from the last one ends


def saturated(x: Integers) -> Integers:
    """Clamped to int16."""
    return np.clip(x, -32768, 32767)


def _between(value: Integers, bits: int, beyond: int) -> Integers:
    """A line between two entries of the table, `bits` fraction bits apart; `beyond` its end."""
    apart = np.abs(value)
    place = np.minimum(apart >> bits, 254)
    table = SIGMOID_TABLE.astype(np.int64)
    low, rest = table[place], apart & ((1 << bits) - 1)
    line = (low << bits) + rest * (table[place + 1] - low)
    return np.where(apart >> bits >= 255, beyond << bits, line)


def sigmoid_q15(x: Integers) -> Integers:
    """Of Q3.12, in Q0.15."""
    scaled = x * 3
    line = _between(scaled, 9, 2 * 0x7FFF)
    turned = np.where(scaled >= 0, line + (1 << 9), (1 << 25) - line + (1 << 9) - 1)
    return turned >> 10


def tanh_q15(x: Integers, power: int) -> Integers:
    """Of int16 in steps of 2^power, in Q0.15; tanh(x) = 2 sigmoid(2 x) - 1."""
    left = 12 + power
    scaled = x * (3 << left) if left >= 0 else (x * 3 + (1 << (-left - 1))) >> -left
    line = _between(scaled, 8, 0xFFFF)
    positive, negative = line - (1 << 23) + (1 << 7), -line + (1 << 23) + (1 << 7) - 1
    return np.where(scaled >= 0, positive, negative) >> 8
