"""What a model is for, which says how its answers are judged."""

from pathlib import Path
from typing import Literal, get_args

from edgeq.errors import BadInput

Task = Literal["classification", "regression", "autoencoder", "detection", "segmentation"]
ProfiledTask = Task | Literal["unlabelled"]  # of a run: without labels nothing is judged
TASKS: tuple[Task, ...] = get_args(Task)


def checked_task(value: object) -> Task | None:
    """The task, or None for one that nobody stated. BadInput for another word."""
    for task in TASKS:
        if value == task:
            return task
    if value is None:
        return None
    raise BadInput(f"the task is {str(value)[:40]!r}; choose from {', '.join(TASKS)}")


def read_class_names(path: Path) -> list[str]:
    """A text file with a class name a line. Raises BadInput."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path} cannot be read as text: {error}; give a class name a line"
        ) from error
