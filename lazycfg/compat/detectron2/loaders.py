"""Loaders and what is around them, called the old way."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from lazycfg import data
from lazycfg.data import DatasetFromList as _OurList
from lazycfg.data import trivial_batch_collator
from lazycfg.utils import get_world_size

from . import samplers
from .catalogs import DatasetCatalog, as_dataset
from .configurable import configurable
from .logger import logger_of
from .mapper import DatasetMapper

__all__ = [
    "AspectRatioGroupedDataset",
    "DatasetFromList",
    "MapDataset",
    "ToIterableDataset",
    "build_batch_data_loader",
    "build_detection_test_loader",
    "build_detection_train_loader",
    "get_detection_dataset_dicts",
]

logger = logger_of(__name__)


class DatasetFromList(_OurList):
    """A data set of given items. `copy` and `serialize` change nothing: items are fresh at every read."""

    def __init__(self, lst: Any, copy: bool = True, serialize: Any = True) -> None:
        super().__init__(lst)


class MapDataset(torch.utils.data.Dataset[Any]):
    """Items of a data set, mapped; where the mapper returns None another item is taken.

    Args:
        dataset: with `__len__` and `__getitem__`, or an `IterableDataset`.
    """

    def __new__(cls, dataset: Any, map_func: Callable[[Any], Any]) -> Any:
        """Make a mapped stream of an `IterableDataset`."""
        if isinstance(dataset, IterableDataset):
            return _MappedStream(dataset, map_func)
        return super().__new__(cls)

    def __init__(self, dataset: Any, map_func: Callable[[Any], Any]) -> None:
        self._dataset = dataset
        self._map_func = map_func
        self._records = data.MapDataset(
            dataset=dataset, map_func=_OnlyRecord(map_func), check=False, on_error="raise"
        )

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Any:
        return self._records[index]


class _OnlyRecord:
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __call__(self, record: Any) -> Any:
        return self.function(record)


class _MappedStream(IterableDataset[Any]):
    def __init__(self, dataset: Any, map_func: Callable[[Any], Any]) -> None:
        self._dataset, self._map_func = dataset, map_func

    def __iter__(self) -> Iterator[Any]:
        return (mapped for item in self._dataset if (mapped := self._map_func(item)) is not None)


class ToIterableDataset(IterableDataset[Any]):
    """A data set as the stream in the order of a sampler; workers take turns."""

    def __init__(
        self, dataset: Any, sampler: Any, shard_sampler: bool = True, shard_chunk_size: int = 1
    ) -> None:
        self.dataset, self.sampler = dataset, sampler
        self.shard_sampler, self.shard_chunk_size = shard_sampler, shard_chunk_size

    def __iter__(self) -> Iterator[Any]:
        worker = torch.utils.data.get_worker_info() if self.shard_sampler else None
        if worker is None:
            indices = iter(self.sampler)
        else:
            size = self.shard_chunk_size
            indices = (
                index
                for number, index in enumerate(self.sampler)
                if number // size % worker.num_workers == worker.id
            )
        return (self.dataset[index] for index in indices)


class AspectRatioGroupedDataset(IterableDataset[Any]):
    """Batches of a stream of records, each of landscapes or of portraits ("width" and "height" tell)."""

    def __init__(self, dataset: Any, batch_size: int) -> None:
        self.dataset, self.batch_size = dataset, batch_size
        self._buckets: tuple[list[Any], list[Any]] = ([], [])

    def __iter__(self) -> Iterator[list[Any]]:
        for record in self.dataset:
            bucket = self._buckets[0 if record["width"] > record["height"] else 1]
            bucket.append(record)
            if len(bucket) == self.batch_size:
                batch = bucket[:]
                bucket.clear()
                yield batch


def get_detection_dataset_dicts(
    names: str | Sequence[str],
    filter_empty: bool = True,
    min_keypoints: int = 0,
    proposal_files: Sequence[str] | None = None,
    check_consistency: bool = True,
) -> list[dict[str, Any]]:
    """Return the records of registered data sets.

    Args:
        filter_empty: leave out images without objects that are no crowds.
        min_keypoints: leave out images with fewer visible keypoints.
        proposal_files: one for each data set.

    Raises:
        ValueError: there are no records, or the data sets have other classes.
    """
    listed = [names] if isinstance(names, str) else list(names)
    if not listed:
        raise ValueError("no data sets: DATASETS.TRAIN (or TEST) of the config is empty")
    parts = [DatasetCatalog.get(name) for name in listed]
    if all(isinstance(part, torch.utils.data.Dataset) for part in parts):
        return torch.utils.data.ConcatDataset(parts) if len(parts) > 1 else parts[0]  # type: ignore[return-value]
    for name, part in zip(listed, parts, strict=True):
        if not len(part):
            raise ValueError(f"data set {name!r} is empty")
    if check_consistency and "annotations" in parts[0][0]:
        from .detection_utils import check_metadata_consistency

        check_metadata_consistency("thing_classes", listed)
    if proposal_files is not None:
        parts = [load_proposals_into_dataset(p, f) for p, f in zip(parts, proposal_files, strict=True)]
    records = list(itertools.chain.from_iterable(parts))
    if filter_empty and "annotations" in records[0]:
        records = filter_images_with_only_crowd_annotations(records)
    if min_keypoints > 0 and "annotations" in records[0]:
        records = filter_images_with_few_keypoints(records, min_keypoints)
    if not records:
        raise ValueError(
            f"no valid data found in {', '.join(listed)}: no image has objects that are no crowds"
        )
    return records


def filter_images_with_only_crowd_annotations(dataset_dicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records with an object that is no crowd."""
    return [
        record
        for record in dataset_dicts
        if any(annotation.get("iscrowd", 0) == 0 for annotation in record["annotations"])
    ]


def filter_images_with_few_keypoints(
    dataset_dicts: list[dict[str, Any]], min_keypoints_per_image: int
) -> list[dict[str, Any]]:
    """Return the records with so many visible keypoints."""

    def visible(record: dict[str, Any]) -> int:
        return sum(
            sum(v > 0 for v in annotation["keypoints"][2::3])
            for annotation in record["annotations"]
            if "keypoints" in annotation
        )

    return [record for record in dataset_dicts if visible(record) >= min_keypoints_per_image]


def load_proposals_into_dataset(dataset_dicts: list[dict[str, Any]], proposal_file: str) -> Any:
    """Return the records with the proposals of a file."""
    dataset = data.load_proposals_into_dataset(_OurList(dataset_dicts), proposal_file)
    return [dataset[i] for i in range(len(dataset))]


def print_instances_class_histogram(dataset_dicts: Any, class_names: Sequence[str]) -> None:
    """Log how many objects of each class there are."""
    counts = Counter(
        annotation["category_id"]
        for record in dataset_dicts
        for annotation in record["annotations"]
        if not annotation.get("iscrowd", 0)
    )
    lines = [f"{name}: {counts.get(i, 0)}" for i, name in enumerate(class_names)]
    logger.info("distribution of %d instances: %s", sum(counts.values()), ", ".join(lines))


def _dataset_of(names: Any, records: Any) -> Any:
    if isinstance(records, list):
        return as_dataset(names, records)
    return records


def _train_arguments(
    cfg: Any, mapper: Any = None, *, dataset: Any = None, sampler: Any = None
) -> dict[str, Any]:
    if dataset is None:
        records = get_detection_dataset_dicts(
            cfg.DATASETS.TRAIN,
            filter_empty=cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS,
            min_keypoints=cfg.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE if cfg.MODEL.KEYPOINT_ON else 0,
            proposal_files=cfg.DATASETS.PROPOSAL_FILES_TRAIN if cfg.MODEL.LOAD_PROPOSALS else None,
        )
        dataset = _dataset_of(cfg.DATASETS.TRAIN, records)
    if mapper is None:
        mapper = DatasetMapper(cfg, True)
    if sampler is None and not isinstance(dataset, IterableDataset):
        sampler = _sampler(cfg, dataset)
    return {
        "dataset": dataset,
        "sampler": sampler,
        "mapper": mapper,
        "total_batch_size": cfg.SOLVER.IMS_PER_BATCH,
        "aspect_ratio_grouping": cfg.DATALOADER.ASPECT_RATIO_GROUPING,
        "num_workers": cfg.DATALOADER.NUM_WORKERS,
    }


def _sampler(cfg: Any, dataset: Any) -> Any:
    name = cfg.DATALOADER.SAMPLER_TRAIN
    if name == "TrainingSampler":
        return samplers.TrainingSampler(len(dataset))
    if name == "RepeatFactorTrainingSampler":
        factors = data.RepeatFactorTrainingSampler.repeat_factors_from_category_frequency(
            dataset,
            repeat_thresh=cfg.DATALOADER.REPEAT_THRESHOLD,
            sqrt=cfg.DATALOADER.get("REPEAT_SQRT", True),
        )
        return samplers.RepeatFactorTrainingSampler(factors)
    if name == "RandomSubsetTrainingSampler":
        return samplers.RandomSubsetTrainingSampler(len(dataset), cfg.DATALOADER.RANDOM_SUBSET_RATIO)
    raise ValueError(
        f"DATALOADER.SAMPLER_TRAIN {name!r} is not known; give build_detection_train_loader(cfg, sampler=...)"
    )


_OPTIONS = frozenset(("pin_memory", "prefetch_factor", "timeout", "seed", "persistent_workers"))


@configurable(from_config=_train_arguments)
def build_detection_train_loader(
    dataset: Any,
    *,
    mapper: Any,
    sampler: Any = None,
    total_batch_size: int,
    aspect_ratio_grouping: bool = True,
    num_workers: int = 0,
    collate_fn: Any = None,
    **kwargs: Any,
) -> Any:
    """Return endless batches for training, each a list of what the mapper returns.

    Args:
        dataset: a list of records, a data set, or an `IterableDataset` (then without `sampler`); or first a
            config, which gives the other arguments.
        kwargs: see `build_batch_data_loader`. For a data set with indices those of `_OPTIONS`; its workers
            persist in any case.

    Raises:
        TypeError: another argument.
    """
    if isinstance(dataset, IterableDataset):
        if mapper is not None:
            dataset = MapDataset(dataset, mapper)
        return build_batch_data_loader(
            dataset, sampler, total_batch_size, aspect_ratio_grouping=aspect_ratio_grouping,
            num_workers=num_workers, collate_fn=collate_fn, **kwargs,
        )  # fmt: skip
    if unknown := kwargs.keys() - _OPTIONS:
        raise TypeError(
            f"build_detection_train_loader takes no {', '.join(sorted(unknown))} for a data set with "
            f"indices; known are {', '.join(sorted(_OPTIONS))}"
        )
    if isinstance(dataset, list):
        dataset = _OurList(dataset)
    if aspect_ratio_grouping and total_batch_size > 1:
        aspect_ratio_grouping = _know_sizes(dataset)
    return _checked(
        data.build_detection_train_loader,
        dataset=dataset,
        mapper=mapper,
        sampler=sampler,
        total_batch_size=total_batch_size,
        aspect_ratio_grouping=aspect_ratio_grouping,
        num_workers=num_workers,
        collate_fn=collate_fn,
        **{"seed": None} | {key: kwargs[key] for key in kwargs.keys() - {"persistent_workers"}},
    )


def _checked(build: Callable[..., Any], **arguments: Any) -> Any:
    """Return a loader; what lazycfg would refuse in the records is said, and taken as detectron2 takes it.

    Records that a mapper of the program itself reads may be of any kind.
    """
    if type(arguments["mapper"]) is DatasetMapper:
        try:
            return build(**arguments, check=True)
        except data.AnnotationError as error:
            if not len(arguments["dataset"]):
                raise
            logger.warning("%s", error)
    return build(**arguments, check=False)


def _know_sizes(dataset: Any) -> bool:
    if hasattr(dataset, "image_sizes") or not len(dataset):
        return True
    first = data.get_annotations(dataset, 0)
    if isinstance(first, dict) and "width" in first and "height" in first:
        return True
    logger.warning("records have no 'width' and 'height': batches are not grouped by aspect ratio")
    return False


def build_batch_data_loader(
    dataset: Any,
    sampler: Any,
    total_batch_size: int,
    *,
    aspect_ratio_grouping: bool = False,
    num_workers: int = 0,
    collate_fn: Any = None,
    drop_last: bool = True,
    single_gpu_batch_size: int | None = None,
    prefetch_factor: int | None = None,
    persistent_workers: bool = False,
    pin_memory: bool = False,
    seed: int | None = None,
    **kwargs: Any,
) -> Any:
    """Return batches of a mapped data set in the order of a sampler.

    Args:
        single_gpu_batch_size: images of one process, in the place of `total_batch_size`.
        seed: of what is random in workers.
        kwargs: of torch's `DataLoader`.

    Raises:
        ValueError: the batch cannot be shared among the processes; both sizes of it are given.
    """
    world = get_world_size()
    if single_gpu_batch_size:
        if total_batch_size:
            raise ValueError("give total_batch_size or single_gpu_batch_size, not both")
        total_batch_size = single_gpu_batch_size * world
    if total_batch_size % world:
        raise ValueError(f"total batch size {total_batch_size} is not divisible by {world} processes")
    batch_size = total_batch_size // world
    stream = dataset if isinstance(dataset, IterableDataset) else ToIterableDataset(dataset, sampler)
    options: dict[str, Any] = {"num_workers": num_workers, "pin_memory": pin_memory, **kwargs}
    if seed is not None:
        options["generator"] = torch.Generator().manual_seed(seed)
    if num_workers:
        options |= {"prefetch_factor": prefetch_factor, "persistent_workers": persistent_workers}
    if aspect_ratio_grouping:
        loader: Any = DataLoader(stream, batch_size=None, collate_fn=_first, **options)
        batches: Any = AspectRatioGroupedDataset(loader, batch_size)
        return batches if collate_fn is None else _MappedStream(batches, collate_fn)
    return DataLoader(
        stream,
        batch_size=batch_size,
        drop_last=drop_last,
        collate_fn=collate_fn or trivial_batch_collator,
        **options,
    )


def _first(item: Any) -> Any:
    return item


def _test_arguments(cfg: Any, dataset_name: Any, mapper: Any = None) -> dict[str, Any]:
    names = [dataset_name] if isinstance(dataset_name, str) else list(dataset_name)
    files = None
    if cfg.MODEL.LOAD_PROPOSALS:
        known = list(cfg.DATASETS.TEST)
        files = [cfg.DATASETS.PROPOSAL_FILES_TEST[known.index(name)] for name in names]
    records = get_detection_dataset_dicts(names, filter_empty=False, proposal_files=files)
    return {
        "dataset": _dataset_of(names, records),
        "mapper": DatasetMapper(cfg, False) if mapper is None else mapper,
        "num_workers": cfg.DATALOADER.NUM_WORKERS,
    }


@configurable(from_config=_test_arguments)
def build_detection_test_loader(
    dataset: Any,
    *,
    mapper: Any,
    sampler: Any = None,
    batch_size: int = 1,
    num_workers: int = 0,
    collate_fn: Any = None,
) -> Any:
    """Return a loader that gives every image once over all processes, in batches.

    Args:
        dataset: a list of records or a data set; or first a config, then the name of a data set.
    """
    if isinstance(dataset, list):
        dataset = _OurList(dataset)
    if isinstance(dataset, IterableDataset):
        return DataLoader(
            MapDataset(dataset, mapper) if mapper is not None else dataset,
            batch_size=batch_size,
            num_workers=num_workers,
            collate_fn=collate_fn or trivial_batch_collator,
        )
    return _checked(
        data.build_detection_test_loader,
        dataset=dataset,
        mapper=mapper,
        sampler=sampler,
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=collate_fn,
    )


def worker_init_reset_seed(worker_id: int) -> None:
    """Seed the global generators of a worker from torch's seed, which differs among workers."""
    from .small import seed_all_rng

    seed_all_rng(torch.initial_seed() % 2**31 + worker_id)
