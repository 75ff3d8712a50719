"""``detectron2.utils.events``: the storage of a run and what writes it, called the old way."""

from __future__ import annotations

from typing import Any

from lazycfg.engine import writers as ours
from lazycfg.utils import EventStorage as _OurStorage
from lazycfg.utils import get_event_storage as _current
from lazycfg.utils import has_event_storage as has_event_storage

from .stand_in import StandIn

__all__ = [
    "CommonMetricPrinter",
    "EventStorage",
    "EventWriter",
    "JSONWriter",
    "TensorboardXWriter",
    "get_event_storage",
    "has_event_storage",
]


class EventStorage(_OurStorage, metaclass=StandIn):
    """Collects what happens during a run; inside ``with storage:`` it is the current one."""

    stands_for = _OurStorage

    def put_scalar(  # type: ignore[override]
        self, name: str, value: Any, smoothing_hint: bool = True, cur_iter: int | None = None
    ) -> None:
        """Record a number, or a tensor of shape ()."""
        super().put_scalar(name, value, smoothing_hint=smoothing_hint, cur_iter=cur_iter)


def get_event_storage() -> Any:
    """Return the current storage.

    Raises:
        AssertionError: there is none.
    """
    if not has_event_storage():
        raise AssertionError(
            "get_event_storage() has to be called inside a 'with EventStorage(...)' context!"
        )
    return _current()


class EventWriter(ours.EventWriter, metaclass=StandIn):
    """Base of a program's own: `write` asks `get_event_storage` for what is new."""

    stands_for = ours.EventWriter

    def write(self, storage: Any = None) -> None:
        """Write what is new.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError


class JSONWriter(ours.JSONWriter):
    """One JSON object a line."""

    def __init__(self, json_file: Any, window_size: int = 20) -> None:
        super().__init__(json_file, window_size=window_size)

    def write(self, storage: Any = None) -> None:
        """Append a line for each iteration with new values."""
        super().write(_current() if storage is None else storage)


class TensorboardXWriter(ours.TensorboardWriter):
    """Scalars and images for TensorBoard."""

    def __init__(self, log_dir: Any, window_size: int = 20) -> None:
        super().__init__(log_dir, window_size=window_size)

    def write(self, storage: Any = None) -> None:
        """Write the scalars and images that are new."""
        super().write(_current() if storage is None else storage)


class CommonMetricPrinter(ours.CommonMetricPrinter):
    """A line in the log: time left, losses, times, rate and memory."""

    def __init__(self, max_iter: int | None = None, window_size: int = 20) -> None:
        super().__init__(window_size=window_size)
        self._max_iter = max_iter or 0

    def write(self, storage: Any = None) -> None:
        """Log a line with what is new."""
        super().write(_current() if storage is None else storage)
