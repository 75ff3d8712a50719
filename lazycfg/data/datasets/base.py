"""What the rest of the library expects of a dataset, and a list of records that is one."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from lazycfg.utils import printable

from .coco_validation import AnnotationError, is_whole
from .metadata import Metadata

Record = dict[str, Any]
"""One image: "file_name" or "image" (RGB uint8 (H, W, 3) array), "height", "width", "image_id" and
"annotations", a list of dicts with "bbox" (4 or 5 numbers), "bbox_mode" (`BoxMode`), "category_id"
(contiguous, from 0), "iscrowd" (0 or 1) and, where the dataset has them, "segmentation" (list of flat
polygons [x0, y0, x1, y1, ...], or RLE dict), "keypoints" (flat [x, y, visibility, ...]), "area".

Where the file has a "segmentation", "keypoints" or "area" that cannot be used, an annotation has "unusable"
instead, a dict of the key and what is wrong. `DatasetMapper` leaves such an annotation out if it gives masks
(or keypoints), and uses its box if it does not."""


@runtime_checkable
class DetectionDataset(Protocol):
    """Any object with these is a dataset.

    Two more methods are used where a dataset has them, because they save making images:
    `get_annotations(index)`, the record without its "image", and `image_sizes`, an (N, 2) array of (height,
    width).

    The loaders check the records of a dataset (see `RecordRules`) unless its class has a true `validated` of
    its own, as those have that check what they read.
    """

    @property
    def metadata(self) -> Metadata:
        """Return the names of classes and keypoints."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Record: ...


def get_annotations(dataset: Any, index: int) -> Record:
    """Return the record without pixels."""
    if hasattr(dataset, "get_annotations"):
        return dataset.get_annotations(index)
    record = dataset[index]
    if not isinstance(record, Mapping):
        return record
    return {k: v for k, v in record.items() if k != "image"}


def get_image_sizes(dataset: Any) -> np.ndarray:
    """Return an (N, 2) array of (height, width) as the records tell.

    Raises:
        AnnotationError: a record does not tell.
    """
    sizes = getattr(dataset, "image_sizes", None)
    if sizes is not None:
        return np.asarray(sizes)
    result = np.empty((len(dataset), 2), dtype=np.int32)
    for i in range(len(dataset)):
        record = get_annotations(dataset, i)
        size = (record.get("height"), record.get("width")) if isinstance(record, Mapping) else (None, None)
        if not all(is_whole(side) and 0 < side < 2**31 for side in size):
            raise AnnotationError(
                f"{describe(record, i)} has no 'height' and 'width', by which aspect_ratio_grouping sorts "
                "images; give them, give the dataset image_sizes, or set aspect_ratio_grouping=False"
            )
        result[i] = size
    return result


def is_validated(dataset: Any) -> bool:
    """Return whether a dataset has checked its records. A subclass may change them, so it does not inherit
    this.
    """
    return "validated" in vars(type(dataset)) and bool(dataset.validated)


def describe(record: Any, index: int | None = None) -> str:
    """Return words that let a person find a record."""
    parts = []
    if index is not None:
        parts.append(f"record {index}")
    if isinstance(record, Mapping) and record.get("image_id") is not None:
        parts.append(f"image_id {printable(record['image_id'])}")
    if isinstance(record, Mapping) and record.get("file_name"):
        parts.append(f"file {printable(record['file_name'])}")
    return ", ".join(parts) or "a record without image_id and file_name"


class SerializedList(Sequence[Any]):
    """A read-only list whose items lie pickled in one tensor.

    A list of Python objects is copied page by page into every forked worker as soon as their reference counts
    are touched; a tensor is not, and it is shared with spawned workers too. Items are fresh objects at every
    read.
    """

    def __init__(self, items: Iterable[Any]) -> None:
        chunks = [pickle.dumps(item, protocol=pickle.HIGHEST_PROTOCOL) for item in items]
        ends = np.cumsum([0, *(len(c) for c in chunks)], dtype=np.int64)
        data = np.frombuffer(b"".join(chunks), dtype=np.uint8).copy()
        self._data = torch.from_numpy(data)
        self._ends = torch.from_numpy(ends)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} items")
        index = int(index) % len(self)
        start, end = int(self._ends[index]), int(self._ends[index + 1])
        return pickle.loads(memoryview(self._data.numpy()[start:end]))

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    @property
    def nbytes(self) -> int:
        """Memory of the items, bytes."""
        return int(self._data.numel())


class DatasetWrapper:
    """A dataset made of another one, which it is like in all that a subclass does not say.

    A subclass whose records are right where those of the other dataset are says so in its own body, since
    `is_validated` asks the class itself: ``validated = DatasetWrapper.dataset_validated``.

    Args:
        dataset: any dataset.
    """

    def __init__(self, *, dataset: Any) -> None:
        self.dataset = dataset

    @property
    def metadata(self) -> Metadata:
        """Return the metadata of the other dataset."""
        return self.dataset.metadata

    @property
    def num_classes(self) -> int:
        """Return the number of thing classes."""
        return len(self.metadata.thing_classes)

    @property
    def dataset_validated(self) -> bool:
        """Return whether the other dataset has checked its records."""
        return is_validated(self.dataset)

    @property
    def source_indices(self) -> np.ndarray:
        """Return (N,) int64, the record of the other dataset that each record is made of."""
        return np.arange(len(self.dataset))

    @property
    def image_sizes(self) -> np.ndarray:
        """Return (N, 2) height and width in pixels."""
        return get_image_sizes(self.dataset)

    def __len__(self) -> int:
        return len(self.dataset)


class DatasetFromList:
    """A dataset of given records (see `Record`).

    Args:
        records: list of dicts.
        metadata: class names and the like.
    """

    def __init__(self, records: Iterable[Record], *, metadata: Metadata | None = None) -> None:
        self._records = SerializedList(records)
        self.metadata = metadata or Metadata()

    @property
    def num_classes(self) -> int:
        """Return the number of thing classes."""
        return len(self.metadata.thing_classes)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Record:
        return self._records[index]
