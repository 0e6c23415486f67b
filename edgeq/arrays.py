"""Arrays that users hand over: .npz files, and PyTorch's axis order turned into the graph's."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from edgeq.errors import BadInput
from edgeq.stored_zip import open_zip

Array = npt.NDArray[Any]
RowsT = TypeVar("RowsT", bound=Any)  # an array, or a tensor of PyTorch
MAX_FILE_BYTES = 1 << 30
SHOWN_KEYS = 10
MOST_PERMUTED = 4  # axes of a row whose orders are tried
Layout = Literal["channels first", "channels last"]
CHANNELS_FIRST: Layout = "channels first"
CHANNELS_LAST: Layout = "channels last"


def read_npz(path: Path, *keys: str) -> tuple[Array, ...]:
    """Arrays of an .npz file by key, never unpickled; BadInput when file or key is missing."""
    wanted = ", ".join(keys)
    try:
        archive = open_zip(path, MAX_FILE_BYTES, deflated=True)
        names = [name.removesuffix(".npy") for name in archive.entries if name.endswith(".npy")]
        missing = [key for key in keys if key not in names]
        if missing:
            more = ", ..." if len(names) > SHOWN_KEYS else ""
            raise BadInput(
                f"{path} has keys {', '.join(names[:SHOWN_KEYS]) or 'none'}{more}, not "
                f"{', '.join(missing)}; "
                f"save it with np.savez(path, {', '.join(f'{k}=...' for k in keys)})"
            )
        return tuple(archive.read_array(f"{key}.npy") for key in keys)
    except ValueError as error:
        raise BadInput(f"{path}: {error}; give an .npz file with keys {wanted}") from None


def has_key(path: Path, key: str) -> bool:
    """Whether an .npz file holds that array."""
    try:
        archive = open_zip(path, MAX_FILE_BYTES, deflated=True)
        return f"{key}.npy" in list(archive.entries)
    except ValueError as error:
        raise BadInput(f"{path}: {error}; give an .npz file with key {key}") from None


def model_rows(x: Array, shape: tuple[int, ...], what: str, layout: str = CHANNELS_FIRST) -> Array:
    """Rows (N, *shape) as float32 in the graph's order, channels last; `layout` is theirs.

    BadInput when they are empty, not numbers, not finite or of another shape.
    """
    wanted = "(" + ", ".join(map(str, ("N", *shape))) + ")"
    if x.shape[1:] != tuple(shape) or x.ndim == 0:
        advice = _advice(x.shape, tuple(shape))
        raise BadInput(f"{what} has shape {x.shape}, the model takes {wanted}{advice}")
    if len(x) == 0:
        raise BadInput(f"{what} is empty; give rows of shape {wanted}")
    if x.dtype.kind not in "fiu":
        raise BadInput(f"{what} holds {x.dtype}, not numbers")
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused below
        rows = np.asarray(x, np.float32)
    if not np.isfinite(rows).all():
        raise BadInput(f"{what} holds NaN or infinite values; remove those rows")
    return rows if layout == CHANNELS_LAST else channels_last(rows)


def _advice(given: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """How an array of a likely shape is brought into the wanted one, "" for another."""
    if given == wanted:
        return "; one row of it is x[None]"
    row = given[1:]
    orders = permutations(range(len(row))) if len(row) == len(wanted) <= MOST_PERMUTED else ()
    order = next((o for o in orders if tuple(row[i] for i in o) == wanted), None)
    if order is not None:
        return f"; turn its axes: x.transpose(0, {', '.join(str(i + 1) for i in order)})"
    if row and math.prod(row) == math.prod(wanted):
        return f"; as many values: x.reshape(-1, {', '.join(map(str, wanted))})"
    return ""


Shapes = Mapping[str, tuple[int, ...]]
"""The inputs of a model by name, each with its shape in its data's own order of axes."""


def row_shape(inputs: Shapes) -> tuple[int, ...]:
    """The shape of a row: the only input's, or (values,) of several that are joined."""
    if len(inputs) == 1:
        return next(iter(inputs.values()))
    return (sum(map(math.prod, inputs.values())),)


def parts(rows: RowsT, inputs: Shapes) -> dict[str, RowsT]:
    """Rows (N, *row_shape), an array or a tensor, by input: (N, *shape)."""
    if len(inputs) == 1:
        return {next(iter(inputs)): rows}
    found, at = {}, 0
    for name, shape in inputs.items():
        size = math.prod(shape)
        found[name] = rows[:, at : at + size].reshape(len(rows), *shape)
        at += size
    return found


def joined(arrays: Mapping[str, Array]) -> Array:
    """The arrays of each input (N, *shape) as rows: one as it is, several flattened (N, values)."""
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    return np.concatenate([x.reshape(len(x), -1) for x in arrays.values()], axis=1)


def input_arrays(path: Path, inputs: Shapes) -> dict[str, Array]:
    """The arrays of an .npz file for a model, by input: key x of one input, a key a name of
    several. BadInput for a missing one.
    """
    keys = ("x",) if len(inputs) == 1 else tuple(inputs)
    return dict(zip(inputs, read_npz(path, *keys), strict=True))


def graph_rows(
    arrays: Mapping[str, Array], inputs: Shapes, what: str, layout: str = CHANNELS_FIRST
) -> Array:
    """The arrays of each input as rows in the graph's order: joined, each channels last.

    BadInput for arrays that `model_rows` refuses, and for several of other lengths.
    """
    if len(inputs) == 1:
        ((name, shape),) = inputs.items()
        return model_rows(arrays[name], shape, what, layout)
    made = {n: model_rows(arrays[n], s, f"{what}: {n}", layout) for n, s in inputs.items()}
    check_lengths(made, what)
    return joined(made)


def check_lengths(arrays: Mapping[str, Array], what: str) -> None:
    """Raises BadInput unless every input has as many rows."""
    counts = {name: len(x) for name, x in arrays.items()}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise BadInput(f"{what} has a different number of rows in each input: {found}")


def rows_of_file(path: Path, inputs: Shapes, layout: str = CHANNELS_FIRST) -> Array:
    """The rows of an .npz file for a model, as `graph_rows`. BadInput, naming the file."""
    return graph_rows(input_arrays(path, inputs), inputs, str(path), layout)


def channels_last(x: Array) -> Array:
    """(N, C, H, W) as (N, H, W, C), (N, C, L) as (N, 1, L, C), rows of features as they are."""
    if x.ndim == 4:
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    if x.ndim == 3:
        return np.ascontiguousarray(x.transpose(0, 2, 1)[:, None])
    return x


def own_axis(axes: int, axis: int, layout: str) -> int:
    """Which of a model's own `axes`, the batch left away, is that `axis` of the graph's."""
    if layout == CHANNELS_LAST or axes < 2:
        return axis
    return axis + 1 if axes == 3 else axes - 1


def hops(recordings: Array, axis: int, hop: int) -> Array:
    """(N, *shape), one recording behind another along `axis` of a shape, cut into as many `hop`
    frames as are whole: (n, *shape with hop frames).
    """
    frames = np.concatenate(list(recordings), axis=axis)
    count = frames.shape[axis] // hop
    if count == 0:
        empty = list(frames.shape)
        empty[axis] = hop
        return np.zeros((0, *empty), frames.dtype)
    kept = np.take(frames, np.arange(count * hop), axis=axis)
    return np.stack(np.split(kept, count, axis=axis))


def windows(frames: Array, axis: int, size: int, ends: Iterable[int]) -> Array:
    """(n, *shape): the `size` frames of a recording that end with each of `ends`."""
    made = [np.take(frames, np.arange(end - size, end), axis=axis) for end in ends]
    return np.stack(made) if made else np.zeros((0, *frames.shape), frames.dtype)


def class_labels(y: Array, rows: int, classes: int, what: str) -> Array:
    """int64 (rows,) labels in 0..classes-1; BadInput otherwise."""
    if y.shape != (rows,) or y.dtype.kind not in "iu":
        raise BadInput(
            f"{what} needs one integer label a row: {rows} rows, labels of shape {y.shape} "
            f"and type {y.dtype}"
        )
    if y.size and not 0 <= y.min() <= y.max() < classes:
        raise BadInput(f"{what} has labels {y.min()}..{y.max()}, the model knows 0..{classes - 1}")
    return y.astype(np.int64)


def row_groups(path: Path, rows: int) -> Array | None:
    """Key groups of an .npz file, a whole number a row: which rows come from one source, such as a
    recording. None where it has none; BadInput for another form.
    """
    if not has_key(path, "groups"):
        return None
    (groups,) = read_npz(path, "groups")
    if groups.shape != (rows,) or groups.dtype.kind not in "iu":
        raise BadInput(
            f"{path} needs one whole number a row in key groups: {rows} rows, groups of shape "
            f"{groups.shape} and type {groups.dtype}"
        )
    return groups


def read_shape(given: Sequence[int] | str | None) -> Sequence[int] | None:
    """Sizes, also from a text as "1,49,10". Raises BadInput."""
    if not isinstance(given, str):
        return given
    parts = [part.strip() for part in given.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise BadInput(f"--input-shape {given}: give whole numbers without the batch, as 1,49,10")
    return tuple(int(part) for part in parts)
