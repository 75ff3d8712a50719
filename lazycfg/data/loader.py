"""Loaders: records through a mapper into batches, with workers, resumable."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from lazycfg.utils import comm, printable
from lazycfg.utils.carried import carried

from .batching import GroupedBatchSampler, ResumableLoader
from .datasets.base import DatasetFromList, get_image_sizes, is_validated
from .datasets.coco_validation import AnnotationError, OnError
from .datasets.records import records_problem
from .datasets.summary import DatasetSummary, check_dataset
from .datasets.wrappers import ConcatDataset, FilteredDataset, why_empty
from .mapped import MapDataset, Mapper, is_own
from .samplers import InferenceSampler, StreamSampler, TrainingSampler
from .streaming import StreamLoader

logger = logging.getLogger(__name__)


class TrainLoader(ResumableLoader):
    """Endless training batches that can be continued exactly.

    Iterating goes on at `position`, the number of batches handed out so far (what workers have prepared ahead
    does not count). `state_dict()` after batch k and `load_state_dict()` in another run give batch k + 1
    there.
    """

    if_changed = "the images come in another order than in that run"

    def __init__(
        self,
        *,
        dataset: MapDataset,
        batches: GroupedBatchSampler,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool | None = None,
        prefetch_factor: int | None = None,
        timeout: float = 0,
    ) -> None:
        if num_workers < 0:
            raise ValueError(f"num_workers={num_workers}: expected at least 0")
        self.dataset = dataset
        self.batches = batches
        self.num_workers = num_workers
        self.collate_fn = collate_fn or trivial_batch_collator
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self.prefetch_factor = prefetch_factor if num_workers > 0 else None
        self.timeout = timeout if num_workers > 0 else 0
        self.position = 0

    @property
    def metadata(self) -> Any:
        """Return the metadata of the dataset."""
        return self.dataset.metadata

    @property
    def total_batch_size(self) -> int:
        """Pictures in a batch over all processes."""
        return self.batches.total_batch_size

    @property
    def num_skipped(self) -> int:
        """Pictures skipped so far, with on_error="skip"."""
        return self.dataset.num_skipped

    def set_start(self, batch_index: int) -> None:
        """Let the next iteration begin with this batch."""
        self.position = int(batch_index)

    def set_late_mapper(self, map_func: Mapper, first_batch: int) -> None:
        """Use another mapper from a batch on, in iterations that begin after this call.

        Which mapper makes a sample depends on the number of its batch alone, so that it does not matter how
        far ahead workers are, nor whether a run was resumed.
        """
        self.dataset.set_late_mapper(map_func, first_batch)

    def state_dict(self) -> dict[str, int]:
        """Return the position, and what the order of the images depends on."""
        return {
            "position": self.position,
            "seed": self.dataset.seed,
            "total_batch_size": self.total_batch_size,
            "num_images": len(self.dataset),
        }

    def __iter__(self) -> Iterator[Any]:
        self.batches.start = self.position
        loader: DataLoader[Any] = DataLoader(
            carried(self.dataset, self.num_workers),
            batch_sampler=self.batches,
            num_workers=self.num_workers,
            collate_fn=carried(self.collate_fn, self.num_workers),
            pin_memory=self.pin_memory,
            prefetch_factor=self.prefetch_factor,
            timeout=self.timeout,
            worker_init_fn=_WorkerInit(self.dataset.seed, self.batches.rank),
            generator=torch.Generator().manual_seed(0),  # else the global generator is advanced
        )
        yield from self._counted(loader)


def build_detection_train_loader(
    *,
    dataset: Any,
    mapper: Mapper | None,
    total_batch_size: int,
    sampler: StreamSampler | Iterable[int] | None = None,
    aspect_ratio_grouping: bool = True,
    num_workers: int = 0,
    seed: int | None = 0,
    on_error: OnError = "raise",
    check: bool = True,
    collate_fn: Callable[[list[Any]], Any] | None = None,
    pin_memory: bool | None = None,
    prefetch_factor: int | None = None,
    timeout: float = 0,
    rank: int | None = None,
    world_size: int | None = None,
    shard_stream: bool | None = None,
) -> TrainLoader | StreamLoader:
    """Return a loader of endless training batches, each a list of what the mapper returns.

    Args:
        dataset: a dataset, a list of records, or a list of datasets (which are joined); or a stream, an
            `IterableDataset` of records, whose order is its own: it takes no sampler, and its records are not
            checked before they come.
        mapper: record -> sample, such as `DatasetMapper`.
        total_batch_size: images in a batch over all processes.
        sampler: order of the images; a shuffling `TrainingSampler` with `seed` when None.
        aspect_ratio_grouping: batches of portraits or of landscapes only, which need less padding.
        num_workers: processes that load; 0: this one.
        seed: of order and augmentation; None (or -1): another in every run. Same seed, same images,
            whatever the number of workers and processes.
        on_error: see `MapDataset`.
        check: hold the records to `RecordRules` and compare the annotations with what the mapper is asked to
            give, before anything is trained. Datasets that have checked their records are taken at their
            word.
        collate_fn: list of samples -> batch; the list itself when None.
        pin_memory: None: where there is a GPU.
        prefetch_factor: batches each worker prepares ahead.
        timeout: seconds to wait for a batch from the workers before giving up; 0: for ever.
        rank, world_size: of this process; None: as `torch.distributed` says.
        shard_stream: of a stream: True: each process and worker reads all of it and takes its part; False:
            the stream shares its records out itself. None will do where only one process and worker reads.

    Raises:
        ValueError: a stream that several would read, and `shard_stream` does not say how.
        AnnotationError: annotations do not fit, see `check_dataset`; or there are no images, and the message
            says which filter left them out.
    """
    seed = comm.shared_random_seed() if seed is None or seed < 0 else seed
    rank = comm.get_rank() if rank is None else rank
    world_size = comm.get_world_size() if world_size is None else world_size
    if isinstance(dataset, IterableDataset):
        return StreamLoader(
            dataset=dataset,
            mapper=mapper,
            total_batch_size=total_batch_size,
            aspect_ratio_grouping=aspect_ratio_grouping and total_batch_size > 1,
            shard=_shards_stream(dataset, sampler, shard_stream, max(num_workers, 1) * world_size),
            num_workers=num_workers,
            seed=seed,
            on_error=on_error,
            collate_fn=collate_fn or trivial_batch_collator,
            pin_memory=pin_memory,
            prefetch_factor=prefetch_factor,
            timeout=timeout,
            worker_init_fn=_WorkerInit(seed, rank),
            rank=rank,
            world_size=world_size,
        )
    if shard_stream is not None:
        raise ValueError(f"shard_stream is for streams; {type(dataset).__name__} has indices")
    dataset = _as_dataset(dataset)
    if len(dataset) == 0:
        raise AnnotationError(f"{_title(dataset)}: {why_empty(dataset)}", _remedy_for_empty(dataset))
    if check and getattr(mapper, "is_train", False):
        summary = check_dataset(
            dataset,
            masks=getattr(mapper, "use_instance_mask", False),
            keypoints=getattr(mapper, "use_keypoint", False),
            boxes=False,
            name="the training dataset",
            on_error=on_error,
        )
        _warn(dataset, summary, mapper)
    elif check:
        _check_records(dataset, mapper, "the training dataset", on_error, for_evaluation=False)
    known = getattr(sampler, "num_records", None)
    if known is not None and known != len(dataset):
        raise ValueError(
            f"{type(sampler).__name__} was made for {known} records, and {_title(dataset)} has "
            f"{len(dataset)}: make its weights of the dataset that the loader is given"
        )
    groups = None
    if aspect_ratio_grouping and total_batch_size > 1:
        sizes = get_image_sizes(dataset)
        groups = sizes[:, 1] > sizes[:, 0]
    batches = GroupedBatchSampler(
        sampler=TrainingSampler(size=len(dataset), seed=seed) if sampler is None else sampler,
        total_batch_size=total_batch_size,
        group_ids=groups,
        rank=rank,
        world_size=world_size,
    )
    return TrainLoader(
        dataset=MapDataset(dataset=dataset, map_func=mapper, seed=seed, on_error=on_error, check=check),
        batches=batches,
        num_workers=num_workers,
        collate_fn=collate_fn,
        pin_memory=pin_memory,
        prefetch_factor=prefetch_factor,
        timeout=timeout,
    )


class TestLoader(DataLoader[Any]):
    """Batches of every image once; of a batch whose images were all skipped nothing is given."""

    __test__ = False  # no test of pytest

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return (batch for batch in super().__iter__() if batch is not None)

    @property
    def num_skipped(self) -> int:
        """Images skipped so far, with on_error="skip"."""
        return self.dataset.num_skipped  # type: ignore[attr-defined]


def build_detection_test_loader(
    *,
    dataset: Any,
    mapper: Mapper | None,
    batch_size: int = 1,
    sampler: Sequence[int] | InferenceSampler | None = None,
    group_by_size: bool = False,
    num_workers: int = 0,
    on_error: OnError = "raise",
    check: bool = True,
    collate_fn: Callable[[list[Any]], Any] | None = None,
    pin_memory: bool | None = None,
    persistent_workers: bool = False,
    timeout: float = 0,
    rank: int | None = None,
    world_size: int | None = None,
) -> TestLoader:
    """Return a loader that gives every image once over all processes, in batches (lists) of `batch_size`; the
    last may be shorter.

    Args:
        sampler: indices for this process; an `InferenceSampler` when None.
        group_by_size: order the shard by aspect ratio, so that batches need less padding.
        check: hold the records to `RecordRules`; their "image_id" must differ, as an evaluation tells images
            apart by it.
        persistent_workers: keep the workers between evaluations.
        Others: as for `build_detection_train_loader`; with on_error="skip" an image that cannot be read is
            missing from its batch, and a batch without images is left out.

    Raises:
        AnnotationError: records that cannot be evaluated.
    """
    dataset = _as_dataset(dataset)
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: expected at least 1")
    if check:
        _check_records(dataset, mapper, "the test dataset", on_error, for_evaluation=True)
    if sampler is None:
        sampler = InferenceSampler(
            size=len(dataset),
            rank=comm.get_rank() if rank is None else rank,
            world_size=comm.get_world_size() if world_size is None else world_size,
        )
    indices = list(sampler)
    if group_by_size and batch_size > 1 and indices:
        sizes = get_image_sizes(dataset)[indices].astype(np.float64)
        indices = [indices[i] for i in np.argsort(sizes[:, 1] / sizes[:, 0], kind="stable")]
    batches = [indices[i : i + batch_size] for i in range(0, len(indices), batch_size)]
    return TestLoader(
        carried(
            MapDataset(dataset=dataset, map_func=mapper, on_error=on_error, substitute=False, check=check),
            num_workers,
        ),
        batch_sampler=batches,
        num_workers=num_workers,
        collate_fn=carried(_DropMissing(collate_fn or trivial_batch_collator), num_workers),
        pin_memory=torch.cuda.is_available() if pin_memory is None else pin_memory,
        persistent_workers=persistent_workers and num_workers > 0,
        timeout=timeout if num_workers > 0 else 0,
        worker_init_fn=_WorkerInit(0, 0),
        generator=torch.Generator().manual_seed(0),
    )


def trivial_batch_collator(batch: list[Any]) -> list[Any]:
    """Return the batch unchanged."""
    return batch


class _DropMissing:
    """A collate function that leaves out samples that were skipped, and gives None if all of them were."""

    def __init__(self, collate_fn: Callable[[list[Any]], Any]) -> None:
        self.collate_fn = collate_fn

    def __call__(self, batch: list[Any]) -> Any:
        samples = [sample for sample in batch if sample is not None]
        return self.collate_fn(samples) if samples else None


class _WorkerInit:
    """Seeds numpy's and Python's global generators in a worker, for mappers of others that draw from them
    (torch's is seeded by torch), and takes the worker out of the reach of signals to the group of the run.
    """

    def __init__(self, seed: int, rank: int) -> None:
        self.seed = seed
        self.rank = rank

    def __call__(self, worker_id: int) -> None:
        import random

        if hasattr(os, "setpgrp"):
            # Ctrl-C, and SIGTERM to all of a job: the main process ends its step, for which it needs batches.
            os.setpgrp()
        state = np.random.SeedSequence([self.seed, self.rank, worker_id]).generate_state(2)
        random.seed(int(state[0]))
        np.random.seed(int(state[1]))


def _title(dataset: Any) -> str:
    name = getattr(getattr(dataset, "metadata", None), "name", "")
    return f"the training dataset {printable(name)!r}" if name else "the training dataset"


def _remedy_for_empty(dataset: Any) -> dict[str, str]:
    """Return the arguments with which a loader's dataset would have images to train on; empty for none."""
    keeping = dataset.keeping() if isinstance(dataset, FilteredDataset) else {}
    return {
        f"dataset.{name}": "null" if value is None else str(value).lower() for name, value in keeping.items()
    }


def _check_records(
    dataset: Any, mapper: Mapper | None, name: str, on_error: OnError, *, for_evaluation: bool
) -> None:
    """Raise or log what breaks the rules in the records of a dataset."""
    problem = records_problem(dataset, for_evaluation=for_evaluation, any_record=is_own(mapper))
    if problem is None:
        return
    if on_error == "raise" or (for_evaluation and "image_id" in problem):
        raise AnnotationError(
            f"{name}: {problem}",
            {"on_error": "skip"},
            '\nbuild the loader with on_error="skip" to leave such records out, or with check=False to take '
            "records as they are",
        )
    logger.warning("%s: %s", name, problem)


def _warn(dataset: Any, summary: DatasetSummary, mapper: Any) -> None:
    """Log what looks wrong in a dataset for training."""
    metadata = getattr(dataset, "metadata", None)
    name = _title(dataset)
    if not is_validated(dataset):  # others say so themselves
        for sentence in summary.warnings():
            logger.warning("%s: %s", name, sentence)
    if summary.num_invalid:
        first = summary.invalid[0]
        logger.warning("%s: %d records are skipped (first: %s)", name, summary.num_invalid, first)
    for key, option in (("segmentation", "use_instance_mask"), ("keypoints", "use_keypoint")):
        if getattr(mapper, option, False) and summary.unusable[key]:
            logger.warning(
                "%s: %d of %d instances are left out, as their %s cannot be used",
                name,
                summary.unusable[key],
                summary.num_instances,
                key,
            )
    classes = list(map(printable, getattr(metadata, "thing_classes", ())))
    absent = summary.classes_without_instances(classes)
    if absent and len(absent) < len(classes):
        shown = ", ".join(map(repr, absent[:10])) + (", ..." if len(absent) > 10 else "")
        hint = ""
        if absent[0] == classes[0] and len(absent) < 3:
            hint = (
                f"; exports of Roboflow and labelme begin with such a root category, which "
                f"CocoDataset(ignore_categories=[{classes[0]!r}]) leaves out"
            )
        logger.warning(
            "%s: %d of %d classes have no example: %s%s", name, len(absent), len(classes), shown, hint
        )


def _shards_stream(dataset: Any, sampler: Any, shard_stream: bool | None, readers: int) -> bool:
    """Return whether each reader has to take its part of a stream."""
    name = type(dataset).__name__
    if sampler is not None:
        raise ValueError(f"{name} is an IterableDataset, whose order is its own: leave out the sampler")
    if shard_stream is None and readers > 1:
        raise ValueError(
            f"{readers} processes or workers read the stream {name}: pass shard_stream=True if each is to "
            "read all of it and take its part, or shard_stream=False if the stream shares its records out "
            "itself (by get_worker_info and the rank), as those of Hugging Face do among workers"
        )
    return bool(shard_stream)


def _as_dataset(dataset: Any) -> Any:
    if isinstance(dataset, list | tuple):
        if dataset and all(isinstance(d, dict) for d in dataset):
            return DatasetFromList(dataset)
        return ConcatDataset(datasets=dataset)
    if isinstance(dataset, IterableDataset):
        raise TypeError(
            "a dataset that is evaluated needs __len__ and __getitem__, so that each image counts once; "
            f"{type(dataset).__name__} is an IterableDataset: read its records into DatasetFromList"
        )
    if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        raise TypeError(f"a dataset needs __len__ and __getitem__; got {type(dataset).__name__}: {dataset!r}")
    return dataset
