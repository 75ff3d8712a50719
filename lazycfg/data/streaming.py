"""Data that comes as a stream: any `torch.utils.data.IterableDataset` of records, in batches, resumable."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, Sampler, get_worker_info

from lazycfg.utils import comm, printable
from lazycfg.utils.carried import carried

from .batching import ResumableLoader
from .datasets.base import describe
from .datasets.coco_validation import OnError
from .mapped import MapFunction, Mapper

__all__ = ["AspectRatioGroupedDataset", "StreamLoader", "ToIterableDataset", "build_batch_data_loader"]

logger = logging.getLogger(__name__)


class ToIterableDataset(IterableDataset[Any]):
    """A dataset with indices as a stream, in the order of a sampler.

    Args:
        dataset: has ``__getitem__``.
        sampler: indices, the same in every worker.
        shard_sampler: each worker of a loader takes its part of the indices; without it, all of them, for a
            sampler that shares them out itself.
        shard_chunk_size: so many indices in a row go to one worker.

    Raises:
        TypeError: the dataset is a stream already.
    """

    def __init__(
        self,
        dataset: Any,
        sampler: Sampler[int] | Iterable[int],
        shard_sampler: bool = True,
        shard_chunk_size: int = 1,
    ) -> None:
        if isinstance(dataset, IterableDataset):
            raise TypeError(f"{type(dataset).__name__} is an IterableDataset already")
        if shard_chunk_size < 1:
            raise ValueError(f"shard_chunk_size={shard_chunk_size}: expected at least 1")
        self.dataset = dataset
        self.sampler = sampler
        self.shard_sampler = shard_sampler
        self.shard_chunk_size = shard_chunk_size

    @property
    def metadata(self) -> Any:
        """Return the metadata of the dataset, None if it has none."""
        return getattr(self.dataset, "metadata", None)

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info() if self.shard_sampler else None
        for position, index in enumerate(self.sampler):
            if worker is None or position // self.shard_chunk_size % worker.num_workers == worker.id:
                yield self.dataset[index]


class AspectRatioGroupedDataset(IterableDataset[list[Any]]):
    """Batches of items of a stream, of landscapes or of portraits only, which need less padding.

    Args:
        dataset: gives dicts with "width" and "height".
        batch_size: items in a batch; what does not fill one at the end of the stream is left out.
    """

    def __init__(self, dataset: Iterable[Mapping[str, Any]], batch_size: int) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size}: expected at least 1")
        self.dataset = dataset
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[list[Any]]:
        return _batches(iter(self.dataset), self.batch_size, by_shape=True)


def _batches(items: Iterator[Any], size: int, *, by_shape: bool) -> Iterator[list[Any]]:
    waiting: dict[bool, list[Any]] = defaultdict(list)
    for item in items:
        group = waiting[by_shape and _is_wide(item)]
        group.append(item)
        if len(group) == size:
            yield group[:]
            group.clear()


def _is_wide(item: Any) -> bool:
    try:
        return bool(item["width"] > item["height"])
    except (KeyError, TypeError, IndexError):
        raise ValueError(
            f"{describe(item)}: it has no 'width' and 'height', by which images are grouped; give it both, "
            "or build the loader with aspect_ratio_grouping=False"
        ) from None


class StreamLoader(ResumableLoader):
    """Endless training batches of a stream, which starts again when it ends.

    A run goes on after `position` batches: the stream is read again up to there, but nothing is mapped, so it
    must give the same records in the same order. If it has a method ``set_epoch``, that is called with the
    number of the pass.

    Args:
        dataset: gives records.
        mapper: record -> sample, as for `MapDataset`; one that returns None leaves the record out.
        total_batch_size: images in a batch over all processes.
        shard: True: each process and worker reads the whole stream and takes its part. False: the stream
            shares its records out itself.
        Others: as for `build_detection_train_loader`.
    """

    if_changed = "the stream does not go on at the same image"

    def __init__(
        self,
        *,
        dataset: IterableDataset[Any],
        mapper: Mapper | None,
        total_batch_size: int,
        aspect_ratio_grouping: bool,
        shard: bool,
        num_workers: int,
        seed: int,
        on_error: OnError,
        collate_fn: Callable[[list[Any]], Any],
        pin_memory: bool | None,
        prefetch_factor: int | None,
        timeout: float,
        worker_init_fn: Callable[[int], None],
        rank: int,
        world_size: int,
    ) -> None:
        if total_batch_size <= 0 or total_batch_size % world_size:
            raise ValueError(
                f"total_batch_size ({total_batch_size}) must be a positive multiple of the "
                f"number of processes ({world_size})"
            )
        if getattr(mapper, "mixing", None):
            raise ValueError(
                f"the mapper mixes other records in, which the stream {type(dataset).__name__} cannot give: "
                "leave out Mosaic, MixUp and CopyPaste, or read the records into DatasetFromList"
            )
        self.stream = _MappedBatches(
            dataset, mapper, total_batch_size // world_size, aspect_ratio_grouping, shard, seed, on_error
        )
        self.stream.rank, self.stream.world_size = rank, world_size
        self.total_batch_size = total_batch_size
        self.num_workers = num_workers
        self.collate_fn = collate_fn
        self.position = 0
        self._options = {
            "pin_memory": torch.cuda.is_available() if pin_memory is None else pin_memory,
            "prefetch_factor": prefetch_factor if num_workers > 0 else None,
            "timeout": timeout if num_workers > 0 else 0,
            "worker_init_fn": worker_init_fn,
        }

    @property
    def dataset(self) -> IterableDataset[Any]:
        """Return the stream of records."""
        return self.stream.dataset

    @property
    def metadata(self) -> Any:
        """Return the metadata of the dataset, None if it has none."""
        return getattr(self.dataset, "metadata", None)

    def state_dict(self) -> dict[str, int]:
        """Return the position, and what the batches depend on."""
        return {
            "position": self.position,
            "seed": self.stream.seed,
            "total_batch_size": self.total_batch_size,
            "num_workers": self.num_workers,
        }

    def __iter__(self) -> Iterator[Any]:
        self.stream.start = self.position
        loader: DataLoader[Any] = DataLoader(
            carried(self.stream, self.num_workers),
            batch_size=None,
            num_workers=self.num_workers,
            collate_fn=carried(self.collate_fn, self.num_workers),
            generator=torch.Generator().manual_seed(0),  # else the global generator is advanced
            **self._options,
        )
        yield from self._counted(loader)


class _MappedBatches(IterableDataset[list[Any]]):
    """Endless batches of mapped records; of each worker, from the one on that it has to give next."""

    rank = 0
    world_size = 1
    start = 0

    def __init__(
        self,
        dataset: IterableDataset[Any],
        mapper: Mapper | None,
        batch_size: int,
        by_shape: bool,
        shard: bool,
        seed: int,
        on_error: OnError,
    ) -> None:
        self.dataset = dataset
        self.map_func = MapFunction.of(mapper)
        self.batch_size = batch_size
        self.by_shape = by_shape
        self.shard = shard
        self.seed = seed
        self.on_error = on_error

    def __iter__(self) -> Iterator[list[Any]]:
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        # A loader takes a batch from each worker in turn; a new one begins with the first worker.
        turn = (self.start + number) % workers
        given = (self.start - turn + workers - 1) // workers
        reader, readers = self.rank * workers + turn, self.world_size * workers
        batches = _batches(self._records(reader, readers), self.batch_size, by_shape=self.by_shape)
        for count, batch in enumerate(islice(batches, given, None), start=given):
            yield self._mapped(batch, [self.seed, reader, count])

    def _records(self, reader: int, readers: int) -> Iterator[Any]:
        epoch = 0
        while True:
            if hasattr(self.dataset, "set_epoch"):
                self.dataset.set_epoch(epoch)
            position = -1
            for position, record in enumerate(self.dataset):
                if not self.shard or position % readers == reader:
                    yield record
            if position < (reader if self.shard else 0):
                what = f"gives no record to reader {reader} of {readers} (processes times workers)"
                raise ValueError(f"the stream {type(self.dataset).__name__} {what}")
            epoch += 1

    def _mapped(self, batch: list[Any], seed: list[int]) -> list[Any]:
        if self.map_func.function is None:
            return batch
        samples = []
        for place, record in enumerate(batch):
            try:
                sample = self.map_func(record, np.random.default_rng([*seed, place]), ())
            except Exception as error:
                if not (self.on_error == "skip" and isinstance(error, OSError | ValueError)):
                    error.add_note(f"while mapping {describe(record)}")
                    raise
                logger.warning("skipped %s: %s", describe(record), printable(error))
                sample = None
            if sample is not None:
                samples.append(sample)
        if not samples:
            last = describe(batch[-1])
            raise ValueError(f"none of the {len(batch)} records of a batch gave a sample (the last: {last})")
        return samples


def build_batch_data_loader(
    dataset: Any,
    sampler: Sampler[int] | Iterable[int] | None,
    total_batch_size: int,
    *,
    aspect_ratio_grouping: bool = False,
    num_workers: int = 0,
    collate_fn: Callable[[list[Any]], Any] | None = None,
    drop_last: bool = True,
    pin_memory: bool = False,
) -> Iterable[Any]:
    """Return batches of any dataset of samples, in the order of a sampler; for a loop of one's own.

    A training of this library takes `build_detection_train_loader`, whose batches can be resumed.

    Args:
        dataset: samples by index, or a stream of them.
        sampler: indices for this process, as often as they come; None for a stream.
        total_batch_size: samples in a batch over all processes.
        aspect_ratio_grouping: batches of portraits or of landscapes only, by "width" and "height" of samples.
        num_workers: processes that load; 0: this one.
        collate_fn: list of samples -> batch; the list itself when None.
        drop_last: leave out what does not fill a batch; always so with `aspect_ratio_grouping`.
        pin_memory: put batches into page-locked memory.

    Raises:
        ValueError: the processes cannot share the batch equally, or the sampler is missing or too much.
    """
    world_size = comm.get_world_size()
    if total_batch_size <= 0 or total_batch_size % world_size:
        raise ValueError(
            f"total_batch_size ({total_batch_size}) must be a positive multiple of the number of processes "
            f"({world_size})"
        )
    if isinstance(dataset, IterableDataset) != (sampler is None):
        raise ValueError("a dataset with indices needs a sampler, and an IterableDataset takes none")
    size = total_batch_size // world_size
    stream = dataset if sampler is None else ToIterableDataset(dataset, sampler, shard_chunk_size=size)
    collate = collate_fn or _unchanged
    options: dict[str, Any] = {"num_workers": num_workers, "pin_memory": pin_memory}
    if not aspect_ratio_grouping:
        return DataLoader(stream, batch_size=size, drop_last=drop_last, collate_fn=collate, **options)
    loader: DataLoader[Any] = DataLoader(stream, batch_size=None, collate_fn=_unchanged, **options)
    return _Collated(AspectRatioGroupedDataset(loader, size), collate)


class _Collated:
    """Batches, each through a function."""

    def __init__(self, batches: Iterable[list[Any]], collate_fn: Callable[[list[Any]], Any]) -> None:
        self.batches = batches
        self.collate_fn = collate_fn

    def __iter__(self) -> Iterator[Any]:
        return map(self.collate_fn, self.batches)


def _unchanged(sample: Any) -> Any:
    return sample
