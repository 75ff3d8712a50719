"""The proposals that the heads are trained on: exact lists, whose sizes the host knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lazycfg.structures import Instances

from ..padded import GroundTruth, cat_field, upload

__all__ = ["Foreground", "MatchedField", "SampledProposals", "select_foreground_proposals"]


class MatchedField:
    """The ground truth of a field that is no plain tensor (masks), for every proposal: the objects of one
    image and which of them each proposal is matched to. The rows are copied when somebody asks for them.

    Everything that the field itself has (``crop_and_resize``, ``tensor``, ``polygons``...) is there.

    Args:
        source: the field of the ground truth of the image.
        index: for each proposal the object it is matched to.
    """

    def __init__(self, source: Any, index: Sequence[int]) -> None:
        self.source = source
        self.index = list(index)
        self._rows: Any = None

    def rows(self) -> Any:
        """The field with one row per proposal."""
        if self._rows is None:
            index = torch.tensor(self.index, dtype=torch.int64)
            self._rows = self.source[index.to(getattr(self.source, "device", "cpu"))]
        return self._rows

    def take(self, rows: Sequence[int]) -> MatchedField:
        """Only these rows; nothing is copied."""
        return MatchedField(self.source, [self.index[i] for i in rows])

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, slice):
            return self.take(range(len(self))[item])
        return self.rows()[item]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("source", "index", "_rows"):
            raise AttributeError(name)
        return getattr(self.rows(), name)


class SampledProposals(list):
    """Per image `Instances` with ``proposal_boxes, objectness_logits, gt_classes, gt_boxes`` (and the other
    ``gt_`` fields that are tensors); the foreground comes first.

    Attributes:
        counts: rows of each image; foreground_counts: how many of them are foreground.
        gt: what they were matched to.
        matches: for each image the object that each *foreground* row is matched to.
        visible: for each image whether a foreground row has a visible keypoint; None if not known.
    """

    def __init__(
        self,
        instances: Sequence[Instances],
        *,
        foreground_counts: Sequence[int],
        gt: GroundTruth,
        matches: Sequence[Sequence[int]],
        visible: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__(instances)
        self.visible = visible
        self.counts = [len(x) for x in instances]
        self.foreground_counts = list(foreground_counts)
        self.gt = gt
        self.matches = [list(match) for match in matches]

    def foreground_index(self) -> list[int]:
        """Rows of the foreground in the concatenation of all images."""
        index, start = [], 0
        for count, foreground in zip(self.counts, self.foreground_counts, strict=True):
            index += range(start, start + foreground)
            start += count
        return index

    def foreground(self) -> Foreground:
        """Only the foreground, with all ``gt_`` fields."""
        index = self.foreground_index()
        instances = select_rows(self, index, self.foreground_counts)
        for x, truth, match in zip(instances, self.gt.instances, self.matches, strict=True):
            for name, value in truth.get_fields().items():
                if name.startswith("gt_") and not x.has(name):
                    x.set(name, MatchedField(value, match))
        visible = None if self.visible is None else [bool(v) for image in self.visible for v in image]
        return Foreground(instances, index=index, visible=visible)


class Foreground(list):
    """The foreground of a batch: per image `Instances`.

    Attributes:
        index: row of each in the concatenation of the proposals it was selected from.
        visible: whether each, of all images, has a visible keypoint; None if not known.
    """

    def __init__(
        self, instances: Sequence[Instances], *, index: Sequence[int], visible: Sequence[bool] | None = None
    ) -> None:
        super().__init__(instances)
        self.index = list(index)
        self.visible = visible

    def select(self, keep: Sequence[bool]) -> Foreground:
        """Those of all images for which `keep` is true."""
        counts, start = [], 0
        for x in self:
            counts.append(sum(keep[start : start + len(x)]))
            start += len(x)
        rows = [i for i, kept in enumerate(keep) if kept]
        return Foreground(select_rows(self, rows, counts), index=[self.index[i] for i in rows])


def is_tensor_field(value: Any) -> bool:
    """A tensor, or something like boxes and keypoints that holds one; masks are none."""
    tensor = value if isinstance(value, Tensor) else getattr(value, "tensor", None)
    return isinstance(tensor, Tensor) and not isinstance(value, MatchedField) and tensor.dtype != torch.bool


def gather_field(values: Sequence[Any], index: Tensor, counts: Sequence[int]) -> list[Any]:
    """Rows `index` of a concatenation of tensor fields, split into lists of `counts` rows."""
    tensors = [value if isinstance(value, Tensor) else value.tensor for value in values]
    parts = torch.cat(tensors)[index].split(list(counts))
    if isinstance(values[0], Tensor):
        return list(parts)
    return [type(values[0])(part) for part in parts]


def select_rows(
    instances: Sequence[Instances], index: Sequence[int], counts: Sequence[int]
) -> list[Instances]:
    """Rows of the concatenation of all images as new `Instances`, by one gather per field.

    Args:
        index: increasing; counts: how many of its rows belong to each image.
    """
    total = sum(len(x) for x in instances)
    if len(index) == total:
        return [Instances(x.image_size, **x.get_fields()) for x in instances]
    out = [Instances(x.image_size) for x in instances]
    device = instances[0].proposal_boxes.device
    rows = upload(index, device, torch.int64)
    for name, value in instances[0].get_fields().items():
        values = [x.get(name) for x in instances]
        if is_tensor_field(value):
            parts = gather_field(values, rows, counts)
        else:
            parts, start, first = [], 0, 0
            for v, x, count in zip(values, instances, counts, strict=True):
                own = [i - start for i in index[first : first + count]]
                parts.append(v.take(own) if isinstance(v, MatchedField) else v[own])
                start, first = start + len(x), first + count
        for x, part in zip(out, parts, strict=True):
            x.set(name, part)
    return out


def select_foreground_proposals(
    proposals: Sequence[Instances], bg_label: int
) -> tuple[list[Instances], list[Tensor]]:
    """Only the proposals that are matched to an object.

    Args:
        proposals: per image, with ``gt_classes``.
        bg_label: the class of the background; -1 is ignored too.

    Returns:
        The foreground of each image, and per image a (N_i,) bool mask of it. Sampled proposals know their
        foreground; for others the device is waited for.
    """
    classes = cat_field(proposals, "gt_classes")
    masks = ((classes != -1) & (classes != bg_label)).split([len(x) for x in proposals])
    if isinstance(proposals, SampledProposals):
        return proposals.foreground(), list(masks)
    return [x[mask] for x, mask in zip(proposals, masks, strict=True)], list(masks)
