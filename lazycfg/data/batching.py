"""Training batches as a pure function of (sampler, number of the batch)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from itertools import count, islice
from typing import Any, ClassVar, NamedTuple

import numpy as np
from torch.utils.data import DataLoader, Sampler

from .samplers import StreamSampler

logger = logging.getLogger(__name__)


class SampleKey(NamedTuple):
    """What a worker is asked for: a record, at a position of the stream (which seeds its augmentation), for a
    batch of that number.
    """

    index: int
    position: int
    batch: int = 0


class GroupedBatchSampler(Sampler[list[SampleKey]]):
    """Endless batches of records of the same group (such as portraits and landscapes), for one of several
    processes.

    The whole stream is grouped first, into batches of `total_batch_size` that are handed out in the order in
    which they become full; each process then takes its part of every batch. So the processes of a run see
    together what one process alone would see, and a run continued at batch k sees what the uninterrupted one
    would have.

    Args:
        sampler: the stream. Anything iterable over indices will do, if it starts anew at every `iter()`.
        total_batch_size: images in a batch over all processes.
        group_ids: (N,) the group of each record; None: one group.
        rank, world_size: of this process.
        start: number of the first batch.
    """

    def __init__(
        self,
        *,
        sampler: StreamSampler | Iterable[int],
        total_batch_size: int,
        group_ids: np.ndarray | None = None,
        rank: int = 0,
        world_size: int = 1,
        start: int = 0,
    ) -> None:
        if total_batch_size <= 0 or total_batch_size % world_size:
            raise ValueError(
                f"total_batch_size ({total_batch_size}) must be a positive multiple of the "
                f"number of processes ({world_size})"
            )
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must lie in 0..{world_size - 1}, got {rank}")
        self.sampler = sampler
        self.total_batch_size = total_batch_size
        self.group_ids = None if group_ids is None else np.unique(group_ids, return_inverse=True)[1]
        self.rank = rank
        self.world_size = world_size
        self.start = start

    def __iter__(self) -> Iterator[list[SampleKey]]:
        size = self.total_batch_size // self.world_size
        mine = slice(self.rank * size, (self.rank + 1) * size)
        skip, number = self.start, self.start
        for indices, positions in self._chunks_of_batches():
            if skip >= len(indices):
                skip -= len(indices)
                continue
            for index, position in zip(
                indices[skip:, mine].tolist(), positions[skip:, mine].tolist(), strict=True
            ):
                yield [SampleKey(i, p, number) for i, p in zip(index, position, strict=True)]
                number += 1
            skip = 0

    def _chunks(self) -> Iterator[np.ndarray]:
        if isinstance(self.sampler, StreamSampler):
            for epoch in count():
                yield self.sampler.epoch_indices(epoch)
        stream = iter(self.sampler)
        while chunk := list(islice(stream, 1024)):
            yield np.asarray(chunk, dtype=np.int64)

    def _chunks_of_batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Indices and positions of consecutive batches, each (number of batches, total_batch_size)."""
        size, position = self.total_batch_size, 0
        waiting = np.zeros((2, 0), dtype=np.int64)  # rows: index and position
        for chunk in self._chunks():
            keys = np.stack((chunk, np.arange(position, position + len(chunk))))
            position += len(chunk)
            keys = np.concatenate((waiting, keys), axis=1)
            groups = (
                np.zeros(keys.shape[1], dtype=np.int64) if self.group_ids is None else self.group_ids[keys[0]]
            )
            order = np.argsort(groups, kind="stable")
            counts = np.bincount(groups, minlength=1)
            # Number of each key within its group tells which are in full batches.
            within = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
            full = within < np.repeat(counts // size * size, counts)
            batches = order[full].reshape(-1, size)
            batches = batches[np.argsort(batches[:, -1])]
            waiting = keys[:, order[~full]]
            yield keys[0][batches], keys[1][batches]


class ResumableLoader:
    """Base of loaders that count the batches they have given, and go on after them in a resumed run.

    Attributes:
        total_batch_size: images in a batch over all processes.
        position: batches given so far.
        if_changed: what it means when something that `state_dict` keeps is another than in the run before.
    """

    total_batch_size: int
    position: int
    if_changed: ClassVar[str]

    def state_dict(self) -> dict[str, int]:
        """Return the position, the batch size, and what else the batches depend on."""
        raise NotImplementedError

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue after ``state["position"]`` batches. What has changed since is logged, and the position is
        kept in images.
        """
        for key, mine in self.state_dict().items():
            if key != "position" and state.get(key, mine) != mine:
                text = "data loader: %s was %s and is now %s: %s"
                logger.warning(text, key, state[key], mine, self.if_changed)
        seen = int(state["position"]) * int(state.get("total_batch_size", self.total_batch_size))
        self.position = seen // self.total_batch_size

    def _counted(self, loader: DataLoader[Any]) -> Iterator[Any]:
        """Yield the batches of a loader, and count them; its workers end with the iteration."""
        iterator = iter(loader)
        try:
            for batch in iterator:
                self.position += 1
                yield batch
        finally:
            # An error's traceback keeps the iterator alive; its workers need not wait for that.
            shut_down = getattr(iterator, "_shutdown_workers", None)
            if shut_down is not None:
                shut_down()
