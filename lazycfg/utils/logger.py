"""Messages that would come too often: only the first ones, every n-th, or one in so many seconds."""

from __future__ import annotations

import inspect
import logging
import time
from collections import Counter
from collections.abc import Hashable, Sequence
from types import FrameType

__all__ = ["log_every_n", "log_every_n_seconds", "log_first_n"]

_counts: Counter[Hashable] = Counter()
_times: dict[Hashable, float] = {}


def log_first_n(
    lvl: int, msg: str, n: int = 1, *, name: str | None = None, key: str | Sequence[str] = "caller"
) -> None:
    """Log a message the first n times only.

    Args:
        lvl: of the message, as `logging.WARNING`.
        msg: the text.
        n: how often.
        name: of the logger; None is that of the calling module.
        key: what counts as the same message: its line in the code ("caller"), its text ("message"), or both.

    Raises:
        ValueError: the key is none of these.
    """
    keys = (key,) if isinstance(key, str) else tuple(key)
    if not keys or not set(keys) <= {"caller", "message"}:
        raise ValueError(f"key={key!r}: expected 'caller', 'message' or both")
    module, place = _caller()
    same = (place if "caller" in keys else None, msg if "message" in keys else None)
    _counts[("first", *same)] += 1
    if _counts[("first", *same)] <= n:
        logging.getLogger(name or module).log(lvl, msg)


def log_every_n(lvl: int, msg: str, n: int = 1, *, name: str | None = None) -> None:
    """Log a message of a line in the code the first time, and then every n-th; see `log_first_n`."""
    module, place = _caller()
    _counts["every", place] += 1
    if n == 1 or _counts["every", place] % n == 1:
        logging.getLogger(name or module).log(lvl, msg)


def log_every_n_seconds(lvl: int, msg: str, n: float = 1, *, name: str | None = None) -> None:
    """Log a message of a line in the code at most once in n seconds; see `log_first_n`."""
    module, place = _caller()
    now, last = time.monotonic(), _times.get(place)
    if last is None or now - last >= n:
        _times[place] = now
        logging.getLogger(name or module).log(lvl, msg)


def _caller() -> tuple[str, tuple[str, int]]:
    """Return the module that called the function that calls this, and the place in its code."""
    frame: FrameType | None = inspect.currentframe()
    for _ in range(2):
        frame = frame.f_back if frame is not None else None
    if frame is None:
        return "lazycfg", ("", 0)
    return frame.f_globals.get("__name__", "lazycfg"), (frame.f_code.co_filename, frame.f_lineno)
