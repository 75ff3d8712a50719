"""What a training run has to tell: scalars and images, collected without waiting for the device.

``put_scalar`` takes tensors as they are and keeps them on their device. They are read once per log period,
all in one transfer, by :meth:`EventStorage.fetch`; so logging costs a training step no device-to-host sync.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from statistics import fmean, median
from typing import Any, Self

import torch
from torch import Tensor

__all__ = ["EventStorage", "HistoryBuffer", "NullEventStorage", "get_event_storage", "has_event_storage"]


class HistoryBuffer:
    """The last values of one scalar, with the iterations they belong to, and the mean over all of them."""

    def __init__(self, max_length: int = 10_000) -> None:
        self._values: deque[tuple[float, int]] = deque(maxlen=max_length)
        self._count = 0
        self._global_avg = 0.0

    def update(self, value: float, iteration: int) -> None:
        """Append a value."""
        self._values.append((value, iteration))
        self._count += 1
        self._global_avg += (value - self._global_avg) / self._count

    def __len__(self) -> int:
        return len(self._values)

    def latest(self) -> float:
        """Return the last value."""
        return self._values[-1][0]

    def latest_iter(self) -> int:
        """Return the iteration of the last value."""
        return self._values[-1][1]

    def _last(self, window: int) -> list[float]:
        start = max(len(self._values) - window, 0)
        return [self._values[i][0] for i in range(start, len(self._values))]

    def median(self, window: int = 20) -> float:
        """Median of the last ``window`` values."""
        return median(self._last(window))

    def avg(self, window: int = 20) -> float:
        """Mean of the last ``window`` values."""
        return fmean(self._last(window))

    def global_avg(self) -> float:
        """Mean of all values ever put."""
        return self._global_avg

    def values(self) -> list[tuple[float, int]]:
        """Return the kept ``(value, iteration)`` pairs, oldest first."""
        return list(self._values)


class EventStorage:
    """Collects what happens during a run; inside ``with storage:``, :func:`get_event_storage` returns it.

    Args:
        start_iter: the iteration the run starts at.
        max_history: values kept per scalar for medians and means.
    """

    def __init__(self, start_iter: int = 0, *, max_history: int = 10_000) -> None:
        self._iter = start_iter
        self._max_history = max_history
        self._prefix = ""
        self._pending: list[tuple[str, float | Tensor, int]] = []
        self._histories: dict[str, HistoryBuffer] = {}
        self._smoothing: dict[str, bool] = {}
        self._images: list[tuple[str, Tensor, int]] = []
        self._histograms: list[tuple[str, Tensor, Tensor, int]] = []
        self._tokens: list[Token[EventStorage | None]] = []

    @property
    def iter(self) -> int:
        """Return the iteration that values recorded now belong to."""
        return self._iter

    @iter.setter
    def iter(self, value: int) -> None:
        self._iter = int(value)

    def step(self) -> None:
        """Go on to the next iteration."""
        self._iter += 1

    def put_scalar(
        self,
        name: str,
        value: float | Tensor,
        *,
        smoothing_hint: bool = True,
        cur_iter: int | None = None,
    ) -> None:
        """Record a number, or a tensor of shape ().

        Args:
            name: of the scalar; within :meth:`name_scope` the scope comes before it.
            value: a number, or a tensor with one element, which stays on its device until the next fetch.
            smoothing_hint: whether writers should show a median over a window instead of the last value.
            cur_iter: the iteration it belongs to, when not the current one.
        """
        name = self._prefix + name
        if isinstance(value, Tensor):
            # A copy: the caller may change its tensor in place later (running statistics, static outputs).
            value = value.detach().clone()
        else:
            value = float(value)
        self._pending.append((name, value, self._iter if cur_iter is None else cur_iter))
        self._smoothing[name] = smoothing_hint

    def put_scalars(self, *, smoothing_hint: bool = True, **values: float | Tensor) -> None:
        """Record several numbers, or tensors of shape (); see :meth:`put_scalar`."""
        for name, value in values.items():
            self.put_scalar(name, value, smoothing_hint=smoothing_hint)

    def put_image(self, name: str, image: Any) -> None:
        """Record an image: uint8 (0..255) or float (0..1), shape (3, H, W) or (H, W, 3), RGB.

        Raises:
            ValueError: another shape
        """
        tensor = torch.as_tensor(image).detach()
        if tensor.dim() != 3 or 3 not in (tensor.shape[0], tensor.shape[2]):
            raise ValueError(
                f"image {name!r} has shape {tuple(tensor.shape)}; expected (3, H, W) or (H, W, 3)"
            )
        if tensor.shape[0] != 3:
            tensor = tensor.permute(2, 0, 1)
        self._images.append((self._prefix + name, tensor, self._iter))

    def put_histogram(self, name: str, values: Any, bins: int = 1000) -> None:
        """Record how numbers are distributed, such as weights or scores.

        Counted on the device of the numbers, and read when a writer writes.

        Args:
            name: of the histogram; within :meth:`name_scope` the scope comes before it.
            values: numbers, a tensor of any shape; those that are not finite are left out.
            bins: how many intervals of equal width.

        Raises:
            ValueError: there are no numbers, or no bins.
        """
        tensor = torch.as_tensor(values).detach().reshape(-1).float()
        if not len(tensor) or bins < 1:
            raise ValueError(f"histogram {name!r}: {len(tensor)} numbers in {bins} bins")
        finite = torch.isfinite(tensor)
        low = torch.where(finite, tensor, torch.inf).amin()
        high = torch.where(finite, tensor, -torch.inf).amax()
        width = torch.where(high > low, high - low, torch.ones_like(low))
        places = ((tensor - low) / width * bins).nan_to_num(0, 0, 0).long().clamp(0, bins - 1)
        counts = torch.zeros(bins, device=tensor.device).index_add_(0, places, finite.float())
        edges = low + torch.arange(bins + 1, device=tensor.device) / bins * width
        self._histograms.append((self._prefix + name, counts, edges, self._iter))

    def pop_pending(self) -> list[tuple[str, float, int]]:
        """Take all ``(name, value, iteration)`` that no history has yet, read in one transfer per device
        and dtype.
        """
        pending, self._pending = self._pending, []
        groups: dict[tuple[torch.device, torch.dtype], list[int]] = defaultdict(list)
        values: list[float] = [0.0] * len(pending)
        for i, (_, value, _) in enumerate(pending):
            if isinstance(value, Tensor):
                groups[value.device, value.dtype].append(i)
            else:
                values[i] = value
        for rows in groups.values():
            stacked = torch.stack([pending[i][1].reshape(()) for i in rows])  # type: ignore[union-attr]
            for i, value in zip(rows, stacked.tolist(), strict=True):
                values[i] = float(value)
        return [(name, value, iteration) for (name, _, iteration), value in zip(pending, values, strict=True)]

    def add(self, records: Iterable[tuple[str, float, int]]) -> None:
        """Put ``(name, value, iteration)`` records into the histories."""
        for name, value, iteration in records:
            if name not in self._histories:
                self._histories[name] = HistoryBuffer(self._max_history)
            self._histories[name].update(value, iteration)

    def fetch(self) -> None:
        """Read all that is pending into the histories."""
        self.add(self.pop_pending())

    def history(self, name: str) -> HistoryBuffer:
        """Return the history of one scalar.

        Raises:
            KeyError: nothing was ever recorded under this name.
        """
        self.fetch()
        if name not in self._histories:
            raise KeyError(f"no scalar {name!r} was recorded; known: {sorted(self._histories)}")
        return self._histories[name]

    def histories(self) -> Mapping[str, HistoryBuffer]:
        """Return all histories by name."""
        self.fetch()
        return self._histories

    def latest(self) -> dict[str, tuple[float, int]]:
        """Return the last value and its iteration, for every scalar."""
        return {name: (history.latest(), history.latest_iter()) for name, history in self.histories().items()}

    def latest_with_smoothing_hint(self, window: int = 20) -> dict[str, tuple[float, int]]:
        """Like :meth:`latest`, with the median over ``window`` for the scalars that want it."""
        return {
            name: (
                history.median(window) if self._smoothing.get(name, True) else history.latest(),
                history.latest_iter(),
            )
            for name, history in self.histories().items()
        }

    def smoothing_hints(self) -> Mapping[str, bool]:
        """Return which scalars should be shown smoothed."""
        return self._smoothing

    def state_dict(self, window: int) -> dict[str, Any]:
        """Return the last ``window`` values of every scalar, and whether it is shown smoothed."""
        return {
            name: (self._smoothing.get(name, True), history.values()[-window:])
            for name, history in self.histories().items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back the values that `state_dict` gave."""
        for name, (smoothing, values) in state.items():
            self._smoothing[name] = bool(smoothing)
            self.add((name, float(value), int(iteration)) for value, iteration in values)

    def images(self) -> list[tuple[str, Tensor, int]]:
        """Return the ``(name, (3, H, W) tensor, iteration)`` recorded since they were last cleared."""
        return list(self._images)

    def histograms(self) -> list[tuple[str, Tensor, Tensor, int]]:
        """Return the ``(name, counts (bins,), edges (bins + 1,), iteration)`` recorded since they were last
        cleared.
        """
        return list(self._histograms)

    def clear_images(self) -> None:
        """Forget the images: called when all writers have written them."""
        self._images.clear()

    def clear_histograms(self) -> None:
        """Forget the histograms: called when all writers have written them."""
        self._histograms.clear()

    def pop_images(self) -> list[tuple[str, Tensor, int]]:
        """Return the images as `images` does, ``(name, (3, H, W) tensor, iteration)``, and forget them."""
        images = self.images()
        self.clear_images()
        return images

    @contextmanager
    def name_scope(self, name: str) -> Iterator[None]:
        """Within the block, recorded names start with ``name/``."""
        before = self._prefix
        self._prefix = f"{before}{name.rstrip('/')}/"
        try:
            yield
        finally:
            self._prefix = before

    def __enter__(self) -> Self:
        self._tokens.append(_current.set(self))
        return self

    def __exit__(self, *exc_info: object) -> None:
        _current.reset(self._tokens.pop())


class NullEventStorage(EventStorage):
    """Where nobody listens: takes everything, keeps nothing."""

    def put_scalar(
        self,
        name: str,
        value: float | Tensor,
        *,
        smoothing_hint: bool = True,
        cur_iter: int | None = None,
    ) -> None:
        """Do nothing with a number, or a tensor of shape ()."""

    def put_image(self, name: str, image: Any) -> None:
        """Do nothing."""

    def put_histogram(self, name: str, values: Any, bins: int = 1000) -> None:
        """Do nothing."""


_current: ContextVar[EventStorage | None] = ContextVar("lazycfg_event_storage", default=None)


def has_event_storage() -> bool:
    """Return whether a storage is active, so that a caller can skip a statistic that nobody would keep."""
    return not torch.compiler.is_compiling() and _current.get() is not None


def get_event_storage() -> EventStorage:
    """Return the storage of the innermost ``with storage:``, or one that does nothing.

    Inside a compiled region it is the one that does nothing: recording would break the graph.
    """
    storage = None if torch.compiler.is_compiling() else _current.get()
    return NullEventStorage() if storage is None else storage
