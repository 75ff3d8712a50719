"""Records of a dataset, mapped: what the loaders take samples from."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

from lazycfg.utils import printable

from .batching import SampleKey
from .datasets.base import describe, get_annotations
from .datasets.coco_validation import AnnotationError, OnError
from .datasets.records import RecordRules
from .image import ImageError

logger = logging.getLogger(__name__)

Mapper = Callable[..., Any]
MAX_WORKERS = 256
RETRIES = 20


class MapFunction(NamedTuple):
    """A mapper, and which arguments it takes beside the record."""

    function: Mapper | None
    takes_rng: bool
    takes_others: bool

    @classmethod
    def of(cls, function: Mapper | None) -> Self:
        """Look at the signature of a mapper."""
        try:
            parameters = {} if function is None else inspect.signature(function).parameters
        except (TypeError, ValueError):
            parameters = {}
        by_any_name = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        return cls(function, "rng" in parameters or by_any_name, "others" in parameters)

    def __call__(self, record: Any, rng: np.random.Generator, others: Sequence[Any]) -> Any:
        assert self.function is not None
        given: dict[str, Any] = {"rng": rng} if self.takes_rng else {}
        return self.function(record, **given, **({"others": others} if self.takes_others else {}))


class MapDataset(Dataset[Any]):
    """A dataset whose records have gone through a mapper.

    Args:
        dataset: see `DetectionDataset`.
        map_func: called as `map_func(record, rng=generator)`, or as `map_func(record)` if it has no such
            argument; with `others=` the records of the dataset if it names that, too. May return None to ask
            for another record; without `substitute` that is an error.
        seed: the generator of a sample is made from (seed, position in the stream) alone.
        on_error: "raise" an error of the mapper (OSError, ValueError) with the record's name added, or "skip"
            the record, count it in `num_skipped`, and take another in its place (in training; else None).
        substitute: take another record (drawn from the sample's own generator) in place of a skipped one.
        check: hold each record to `RecordRules` before it is mapped, unless its dataset has checked it.
    """

    def __init__(
        self,
        *,
        dataset: Any,
        map_func: Mapper | None,
        seed: int = 0,
        on_error: OnError = "raise",
        substitute: bool = True,
        check: bool = True,
    ) -> None:
        if on_error not in ("raise", "skip"):
            raise ValueError(f'on_error must be "raise" or "skip", got {on_error!r}')
        self.dataset = dataset
        self.map_func = map_func
        self._map_func = MapFunction.of(map_func)
        self.seed = seed
        self.on_error = on_error
        self.substitute = substitute
        self.check = check
        self._rules = RecordRules(dataset, any_record=is_own(map_func)) if check else None
        self._late: tuple[int, MapFunction] | None = None
        # One slot per worker process, in shared memory: no lock needed.
        self._skipped = torch.zeros(MAX_WORKERS + 1, dtype=torch.int64).share_memory_()

    @property
    def metadata(self) -> Any:
        """Return the metadata of the dataset."""
        return self.dataset.metadata

    def set_late_mapper(self, map_func: Mapper, first_batch: int) -> None:
        """Use another mapper for samples of batches from this number on."""
        self._late = (int(first_batch), MapFunction.of(map_func))

    @property
    def num_skipped(self) -> int:
        """Return the number of records skipped so far, over all workers of this process."""
        return int(self._skipped.sum())

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: int | SampleKey) -> Any:
        index, position, batch = (*key, 0)[:3] if isinstance(key, tuple) else (key, key, 0)
        map_func = self._map_func
        if self._late is not None and batch >= self._late[0]:
            map_func = self._late[1]
        tried: list[tuple[int, Exception | None]] = []
        for attempt in range(RETRIES):
            rng = np.random.default_rng([self.seed, position, attempt])
            sample, error = self._map(index, rng, map_func)
            if sample is not None or not self.substitute:
                return sample
            tried.append((index, error))
            index = int(rng.integers(len(self.dataset)))
        raise AnnotationError(self._nothing_found(tried))

    def check_record(self, record: Any, index: int) -> None:
        """Raise AnnotationError for a record that breaks a rule, see `check`."""
        if self._rules is not None:
            self._rules.check(record, index)

    @property
    def _mapper_name(self) -> str:
        return getattr(self.map_func, "__qualname__", type(self.map_func).__name__)

    def _nothing_found(self, tried: Sequence[tuple[int, Exception | None]]) -> str:
        """Return a message for a sample in whose place no other was found.

        Args:
            tried: index of each record, and the error that it was skipped for (None: the mapper returned
                None).
        """
        empty = [index for index, error in tried if error is None]
        failed = [(index, error) for index, error in tried if error is not None]
        reasons = []
        if empty:
            first = describe(get_annotations(self.dataset, empty[0]), empty[0])
            reasons.append(
                f"the mapper {self._mapper_name} returned None for {len(empty)} of them (first: {first})"
            )
        if failed:
            index, error = failed[0]
            reasons.append(
                f'{len(failed)} could not be used, and on_error="skip" leaves such records out (first: '
                f"{describe(get_annotations(self.dataset, index), index)}: {printable(error)})"
            )
        return (
            f"{len(tried)} records in a row gave no sample: {'; '.join(reasons)}. A mapper returns None to "
            "ask for another record; when most records are refused, leave them out of the data set: "
            "FilteredDataset(keep=...)"
        )

    def _map(
        self, index: int, rng: np.random.Generator, map_func: MapFunction
    ) -> tuple[Any, Exception | None]:
        """Return what the mapper gives for a record, and the error for which the record is skipped."""
        record: Any = {}
        try:
            record = self.dataset[index]
            self.check_record(record, index)
            if map_func.function is None:
                return record, None
            sample = map_func(record, rng, CheckedRecords(self))
            if sample is None and not self.substitute:
                raise ValueError(
                    f"the mapper {self._mapper_name} returned None, and no other image can take the place of "
                    "an image that is to be evaluated"
                )
            return sample, None
        except Exception as error:
            if self.on_error == "skip" and isinstance(error, OSError | ValueError):
                worker = get_worker_info()
                self._skipped[0 if worker is None else 1 + worker.id % MAX_WORKERS] += 1
                logger.warning("skipped %s: %s", describe(record, index), printable(error))
                return None, error
            error.add_note(f"while mapping {describe(record, index)}")
            if self.on_error == "raise" and isinstance(error, ImageError | OSError):
                split = "train" if self.substitute else "test"
                error.add_note(f"remedy: dataloader.{split}.on_error=skip leaves out what cannot be read")
            raise


class CheckedRecords(Sequence[Any]):
    """The records of a `MapDataset`, each checked when it is read: what a mapper may mix into another one."""

    def __init__(self, mapped: MapDataset) -> None:
        self._mapped = mapped

    def __len__(self) -> int:
        return len(self._mapped)

    def __getitem__(self, index: Any) -> Any:
        record = self._mapped.dataset[index]
        self._mapped.check_record(record, index)
        return record


def is_own(mapper: Mapper | None) -> bool:
    """Return whether a mapper may take other records than `DatasetMapper` does."""
    return not hasattr(mapper, "is_train")
