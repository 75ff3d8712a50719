"""Datasets made of datasets: several joined, some images of one."""

from __future__ import annotations

import logging
import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazycfg.utils import printable

from .base import DatasetWrapper, Record, get_annotations, get_image_sizes, is_validated
from .metadata import Metadata
from .proposals import load_proposals_into_dataset
from .records import RecordRules

logger = logging.getLogger(__name__)


class ConcatDataset:
    """Several datasets one after another. They must have the same classes (and keypoints) in the same order.

    Args:
        datasets: at least one.
        metadata: of the whole; that of the first when None.
    """

    def __init__(self, *, datasets: Sequence[Any], metadata: Metadata | None = None) -> None:
        if not datasets:
            raise ValueError("ConcatDataset needs at least one dataset")
        self.datasets = list(datasets)
        self.metadata: Metadata = metadata or datasets[0].metadata
        for i, dataset in enumerate(self.datasets):
            for key in ("thing_classes", "keypoint_names"):
                mine, other = getattr(self.metadata, key), getattr(dataset.metadata, key)
                if mine != other:
                    raise ValueError(
                        f"ConcatDataset: {key} of dataset {i} ({dataset.metadata.name!r}) differ from "
                        f"those of the whole ({self.metadata.name!r}): {list(other)[:8]} and {list(mine)[:8]}"
                    )
        self._ends = np.cumsum([len(d) for d in self.datasets]).tolist()

    @property
    def num_classes(self) -> int:
        """Return the number of thing classes."""
        return len(self.metadata.thing_classes)

    @property
    def validated(self) -> bool:
        """Return whether all of the datasets have checked their records."""
        return all(map(is_validated, self.datasets))

    @property
    def image_sizes(self) -> np.ndarray:
        """Return (N, 2) height and width in pixels, of all datasets in their order."""
        return np.concatenate([get_image_sizes(d) for d in self.datasets])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def _locate(self, index: int) -> tuple[Any, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} images")
        index %= len(self)
        part = bisect_right(self._ends, index)
        return self.datasets[part], index - (self._ends[part - 1] if part else 0)

    def __getitem__(self, index: int) -> Record:
        dataset, i = self._locate(index)
        return dataset[i]

    def get_annotations(self, index: int) -> Record:
        """Return the record without its image."""
        dataset, i = self._locate(index)
        return get_annotations(dataset, i)


class SubsetDataset(DatasetWrapper):
    """Some images of a dataset, by index."""

    validated = DatasetWrapper.dataset_validated

    def __init__(self, *, dataset: Any, indices: Sequence[int] | np.ndarray) -> None:
        super().__init__(dataset=dataset)
        self.indices = np.asarray(indices, dtype=np.int64)
        if len(self.indices) and not 0 <= self.indices.min() <= self.indices.max() < len(dataset):
            raise IndexError(f"SubsetDataset: indices must lie in 0..{len(dataset) - 1}")

    @property
    def source_indices(self) -> np.ndarray:
        """Return (N,) int64, the record of the other dataset that each record is made of."""
        return self.indices

    @property
    def image_sizes(self) -> np.ndarray:
        """Return (N, 2) height and width in pixels."""
        return get_image_sizes(self.dataset)[self.indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Record:
        return self.dataset[int(self.indices[index])]

    def get_annotations(self, index: int) -> Record:
        """Return the record without its image."""
        return get_annotations(self.dataset, int(self.indices[index]))


class FilteredDataset(SubsetDataset):
    """The images of a dataset that are of use in training. Records that break `RecordRules` are kept, for the
    loader to tell.

    Args:
        filter_empty: leave out images without any annotation but crowd regions.
        min_keypoints: leave out images with fewer visible keypoints in all; 0: keep.
        keep: any further condition on a record (without pixels).

    Attributes:
        left_out: number of images by the reason why they are left out.
    """

    def __init__(
        self,
        *,
        dataset: Any,
        filter_empty: bool = True,
        min_keypoints: int = 0,
        keep: Callable[[Record], bool] | None = None,
    ) -> None:
        self.left_out: Counter[str] = Counter()
        self._left_out_by: Counter[str] = Counter()
        indices = []
        unfiltered = not filter_empty and min_keypoints <= 0 and keep is None
        rules = RecordRules(dataset)
        for index in range(len(dataset)):
            record: Record = {} if unfiltered else get_annotations(dataset, index)
            reason = by = ""
            if unfiltered or (not rules.validated and rules.problem(record)):
                pass
            elif filter_empty and not has_instances(record):
                crowd = "with crowd regions only" if record.get("annotations") else "without annotations"
                reason, by = f"{crowd} (filter_empty)", "filter_empty"
            elif min_keypoints > 0 and count_visible_keypoints(record) < min_keypoints:
                reason = f"with fewer than {min_keypoints} visible keypoints (min_keypoints)"
                by = "min_keypoints"
            elif keep is not None and not keep(record):
                reason, by = "refused by keep", "keep"
            if by:
                self.left_out[reason] += 1
                self._left_out_by[by] += 1
            else:
                indices.append(index)
        super().__init__(dataset=dataset, indices=indices)
        if self.left_out:
            name = printable(getattr(dataset.metadata, "name", ""))
            reasons = ", ".join(f"{n} {reason}" for reason, n in self.left_out.items())
            logger.info(
                "%s: %d of %d images kept; left out: %s",
                name or "dataset",
                len(indices),
                len(dataset),
                reasons,
            )

    def keeping(self) -> dict[str, Any]:
        """Return the arguments with which images with something to train on would be kept; empty for none.

        Images without instances are of use only where they have maps of labels instead.
        """
        result: dict[str, Any] = {}
        if self._left_out_by["filter_empty"] and has_only_label_maps(self.dataset):
            result["filter_empty"] = False
        if self._left_out_by["min_keypoints"]:
            result["min_keypoints"] = 0
        if self._left_out_by["keep"]:
            result["keep"] = None
        return result


def part_of_records(dataset: Any) -> tuple[np.ndarray, int]:
    """Return (N,) which of several joined datasets each record comes from, and the number of these.

    Raises:
        ValueError: the dataset is neither a `ConcatDataset` nor made of one.
    """
    if isinstance(dataset, ConcatDataset):
        lengths = [len(d) for d in dataset.datasets]
        return np.repeat(np.arange(len(lengths)), lengths), len(lengths)
    if isinstance(dataset, DatasetWrapper):
        part, count = part_of_records(dataset.dataset)
        return part[dataset.source_indices], count
    raise ValueError(
        f"expected a ConcatDataset, or a dataset made of one, to tell datasets apart; got "
        f"{type(dataset).__name__}"
    )


def why_empty(dataset: Any) -> str:
    """Return the reason why a dataset has no images: which filter left them out."""
    if isinstance(dataset, FilteredDataset) and dataset.left_out:
        reasons = ", ".join(f"{n} {reason}" for reason, n in dataset.left_out.items())
        filtered = f"{type(dataset).__name__} leaves out {reasons}"
        text = f"none of the {len(dataset.dataset)} images is left: {filtered}"
        keeping = dataset.keeping()
        if keeping:
            return f"{text}. {', '.join(f'{k}={v}' for k, v in keeping.items())} keeps them"
        return f"{text}. No image has an object to train on{what_was_skipped(dataset.dataset)}"
    if isinstance(dataset, ConcatDataset):
        return "; ".join(why_empty(part) for part in dataset.datasets)
    return f"it holds no images{what_was_skipped(dataset)}"


def what_was_skipped(dataset: Any) -> str:
    """Return the end of a sentence: how many entries of which kind a dataset has skipped; empty for none."""
    problems = getattr(dataset, "problems", None)
    return f": {', '.join(f'{n} x {kind}' for kind, n in problems.items())} were skipped" if problems else ""


def has_only_label_maps(dataset: Any) -> bool:
    """Return whether a dataset is one for semantic segmentation, which has no instances."""
    record = get_annotations(dataset, 0)
    if "annotations" in record:
        return False
    # A map in memory is not among the annotations; the classes of its pixels are known
    maps = {"sem_seg", "sem_seg_file_name", "pan_seg_file_name"} & set(record)
    return bool(maps or dataset.metadata.stuff_classes)


def has_instances(record: Record) -> bool:
    """Return whether a record has an annotation that is not a crowd region."""
    return any(a.get("iscrowd", 0) == 0 for a in record.get("annotations", ()))


def count_visible_keypoints(record: Record) -> int:
    """Return the number of keypoints with visibility > 0, over all annotations of a record."""
    return sum(
        int((np.asarray(a["keypoints"]).reshape(-1, 3)[:, 2] > 0).sum())
        for a in record.get("annotations", ())
        if "keypoints" in a
    )


def filter_images_with_only_crowd_annotations(dataset: Any) -> FilteredDataset:
    """Return the dataset without images that have no annotation, or crowd regions only."""
    return FilteredDataset(dataset=dataset)


def filter_images_with_few_keypoints(dataset: Any, min_keypoints_per_image: int) -> FilteredDataset:
    """Return the dataset without images that have fewer visible keypoints than `min_keypoints_per_image`."""
    return FilteredDataset(dataset=dataset, filter_empty=False, min_keypoints=min_keypoints_per_image)


def get_detection_dataset_dicts(
    datasets: Any,
    *,
    filter_empty: bool = True,
    min_keypoints: int = 0,
    proposal_files: Sequence[str | os.PathLike[str]] | None = None,
) -> Any:
    """Join datasets into one, and leave out images that are of no use in training.

    Args:
        filter_empty, min_keypoints: see `FilteredDataset`.
        proposal_files: one for each dataset, see `ProposalsDataset`.

    Raises:
        ValueError: `proposal_files` are not as many as the datasets
    """
    if proposal_files is not None:
        parts = datasets if isinstance(datasets, list | tuple) else [datasets]
        if len(parts) != len(proposal_files):
            raise ValueError(f"{len(proposal_files)} proposal_files for {len(parts)} datasets")
        datasets = [
            load_proposals_into_dataset(part, file) for part, file in zip(parts, proposal_files, strict=True)
        ]
    dataset = ConcatDataset(datasets=datasets) if isinstance(datasets, list | tuple) else datasets
    return FilteredDataset(dataset=dataset, filter_empty=filter_empty, min_keypoints=min_keypoints)
