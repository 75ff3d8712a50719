"""How fast images come: from the dataset, through the mapper, out of the workers."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterable, Iterator
from typing import Any

from .loader import build_detection_train_loader
from .mapped import Mapper
from .samplers import TrainingSampler

__all__ = ["DataLoaderBenchmark"]

logger = logging.getLogger(__name__)


class DataLoaderBenchmark:
    """Measures where the time of data loading goes, stage by stage.

    Each method logs and returns a speed; the slowest stage is the one to look at.

    Args:
        dataset, mapper, total_batch_size, num_workers: as for `build_detection_train_loader`.
        sampler: order of the images; None shuffles.
        max_time_seconds: no method takes much longer than that.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        mapper: Mapper | None,
        sampler: Any = None,
        total_batch_size: int,
        num_workers: int = 0,
        max_time_seconds: float = 90,
    ) -> None:
        self.dataset = dataset
        self.mapper = mapper
        self.sampler = TrainingSampler(size=len(dataset)) if sampler is None else sampler
        self.total_batch_size = total_batch_size
        self.num_workers = num_workers
        self.max_time_seconds = max_time_seconds

    def benchmark_dataset(self, num_iter: int, warmup: int = 5) -> float:
        """Return records a second, unmapped, in this process."""
        records = (self.dataset[index] for index in self._indices())
        return self._measure("dataset", records, num_iter, warmup)

    def benchmark_mapper(self, num_iter: int, warmup: int = 5) -> float:
        """Return mapped images a second in this process."""
        samples = itertools.chain.from_iterable(self._loader(1, 0))
        return self._measure("mapper", samples, num_iter, warmup)

    def benchmark_workers(self, num_iter: int, warmup: int = 10) -> dict[int, float]:
        """Return batches a second with one worker, and with as many as given."""
        counts = sorted({min(1, self.num_workers), self.num_workers})
        return {
            count: self._measure(
                f"{count} workers, batches of {self.total_batch_size}",
                self._loader(self.total_batch_size, count),
                num_iter,
                warmup,
            )
            for count in counts
        }

    def _loader(self, batch_size: int, num_workers: int) -> Iterable[Any]:
        return build_detection_train_loader(
            dataset=self.dataset,
            mapper=self.mapper,
            sampler=self.sampler,
            total_batch_size=batch_size,
            num_workers=num_workers,
            check=False,
        )

    def _indices(self) -> Iterator[int]:
        while True:
            yield from self.sampler

    def _measure(self, what: str, source: Iterable[Any], num_iter: int, warmup: int) -> float:
        iterator = iter(source)
        try:
            end = time.perf_counter() + self.max_time_seconds
            for _ in itertools.islice(iterator, warmup):
                if time.perf_counter() > end:
                    break
            start, count = time.perf_counter(), 0
            for _ in itertools.islice(iterator, num_iter):
                count += 1
                if time.perf_counter() > end:
                    break
            speed = count / max(time.perf_counter() - start, 1e-9)
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                close()
        logger.info("%s: %.4g a second (%d measured)", what, speed, count)
        return speed
