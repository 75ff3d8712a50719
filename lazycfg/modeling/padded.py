"""Boxes of a batch in one tensor though their numbers differ: what lets a step run without asking for counts.

The lists of `Instances` that users see are kept up: `PaddedProposals` *is* such a list, filled when read.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures import Boxes, Instances

__all__ = [
    "GroundTruth",
    "PaddedProposals",
    "cat_field",
    "pad_all",
    "pad_bitmasks",
    "pad_index",
    "pad_rows",
    "rows_of_images",
    "split_instances",
    "unpad_rows",
    "upload",
]

ImageSizes = Sequence[tuple[int, int]]


def upload(values: Any, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Host numbers as a tensor on the device, without waiting for what the device is doing."""
    host = torch.as_tensor(values, dtype=dtype)
    if device.type == "cuda" and host.device.type == "cpu" and not torch.compiler.is_compiling():
        host = host.pin_memory()  # which Dynamo cannot trace
    return host.to(device, non_blocking=True)


def pad_index(counts: Sequence[int], length: int) -> tuple[Tensor, Tensor]:
    """Where the rows of a concatenation of lists go in a padded (B, length) tensor.

    Returns:
        On the host: index (B, length) int64 into the concatenation, 0 for padding; valid (B, length) bool.
    """
    count = np.asarray(counts, dtype=np.int64)
    column = np.arange(length)
    valid = column < count[:, None]
    start = count.cumsum() - count
    return torch.from_numpy((start[:, None] + column) * valid), torch.from_numpy(valid)


def pad_rows(rows: Tensor, counts: Sequence[int], length: int | None = None) -> tuple[Tensor, Tensor]:
    """Lists of rows, concatenated, to a padded tensor.

    Args:
        rows: (sum of counts, ...).
        counts: the number of rows of each list.
        length: rows of the result for each list; the largest count by default.

    Returns:
        (B, length, ...) with zeros for padding, and valid (B, length) bool.
    """
    (padded,), valid = pad_all([rows], counts, length)
    return padded, valid


def pad_all(
    fields: Sequence[Tensor], counts: Sequence[int], length: int | None = None
) -> tuple[list[Tensor], Tensor]:
    """`pad_rows` of several fields of the same lists."""
    length = max(counts, default=0) if length is None else length
    device = fields[0].device
    if all(count == length for count in counts):
        valid = torch.ones((len(counts), length), dtype=torch.bool, device=device)
        return [rows.reshape(len(counts), length, *rows.shape[1:]) for rows in fields], valid
    index, valid = pad_index(counts, length)
    valid = upload(valid, device, torch.bool)
    if sum(counts) == 0:
        return [rows.new_zeros((len(counts), length, *rows.shape[1:])) for rows in fields], valid
    index, missing = upload(index, device, torch.int64), ~valid
    padded = [rows[index] for rows in fields]
    return [x.masked_fill_(missing.view(*missing.shape, *[1] * (x.dim() - 2)), 0) for x in padded], valid


def unpad_rows(padded: Tensor, counts: Sequence[int]) -> Tensor:
    """The first `counts` rows of each list of a padded tensor (B, length, ...), concatenated."""
    length = padded.shape[1]
    rows = padded.flatten(0, 1)
    if all(count == length for count in counts):
        return rows
    _, valid = pad_index(counts, length)
    return rows[upload(valid.numpy().ravel().nonzero()[0], padded.device, torch.int64)]


def rows_of_images(values: Tensor, counts: Sequence[int]) -> Tensor:
    """Values (B, ...) of images, for each of their rows: (sum of counts, ...)."""
    if len(set(counts)) == 1:
        return values[:, None].expand(-1, counts[0], *values.shape[1:]).flatten(0, 1)
    index = np.repeat(np.arange(len(counts)), counts)
    return values[upload(index, values.device, torch.int64)]


def cat_field(instances: Sequence[Instances], name: str) -> Tensor:
    """One field of all images as one tensor; of boxes, keypoints and the like their `tensor`."""
    values = [x.get(name) for x in instances]
    return torch.cat([value if isinstance(value, Tensor) else value.tensor for value in values])


def pad_bitmasks(masks: Sequence[Tensor], *, pin: bool = False) -> Tensor:
    """Masks (N_i, H_i, W_i) of images -> (sum N_i, H, W). The last row and column are repeated once, so that
    sampling between a mask's last pixels and its edge sees what it would see without padding.

    On the host it is copying without ops, and what `pad_bitmasks` has padded before is only found again.
    With `pin` the copy is made into page-locked memory, from where it can go to a GPU.
    """
    height, width = (max(m.shape[d] for m in masks) for d in (1, 2))
    base = padded_before(masks, height, width)
    if base is not None:
        return base
    on_host = all(m.device.type == "cpu" for m in masks)
    shape = (sum(len(m) for m in masks), height, width)
    out: Any = torch.empty(shape, dtype=masks[0].dtype, device=masks[0].device, pin_memory=pin and on_host)
    if all(m.shape[1:] == (height, width) for m in masks):
        return torch.cat(list(masks), out=out)
    out.zero_()
    target, sources = (out.numpy(), [m.numpy() for m in masks]) if on_host else (out, masks)
    start = 0
    for m in sources:
        n, h, w = m.shape
        part = target[start : start + n]
        part[:, :h, :w] = m
        if h < height:
            part[:, h, :w] = m[:, -1]
        if w < width:
            part[:, : h + 1, w] = part[:, : h + 1, w - 1]
        start += n
    return out


def padded_before(masks: Sequence[Tensor], height: int, width: int) -> Tensor | None:
    """The padded tensor (N, height, width) that the masks are views of, one after the other; None if none."""
    base = masks[0]._base
    if base is None or base.shape != (sum(len(m) for m in masks), height, width):
        return None
    start = base.storage_offset()
    for m in masks:
        if m._base is not base or m.stride() != base.stride() or m.storage_offset() != start:
            return None
        start += len(m) * height * width
    return base


def split_instances(
    image_sizes: ImageSizes,
    counts: Sequence[int],
    fields: Mapping[str, Tensor],
    box_class: type = Boxes,
) -> list[Instances]:
    """Concatenated fields -> one `Instances` per image; fields whose names end in ``_boxes`` become boxes."""
    out = [Instances(size) for size in image_sizes]
    for name, tensor in fields.items():
        wrap = box_class if name.endswith("_boxes") else None
        for instances, part in zip(out, tensor.split(list(counts)), strict=True):
            instances.set(name, part if wrap is None else wrap(part))
    return out


class LazyInstancesList(list):
    """A list of `Instances` whose number is known and whose contents are made when somebody looks."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length = length

    def make(self) -> list[Instances]:
        """The contents."""
        raise NotImplementedError

    def _fill(self) -> Self:
        if self._length and not super().__len__():
            super().extend(self.make())
        return self

    def __len__(self) -> int:
        return self._length

    def __bool__(self) -> bool:
        return self._length > 0

    def __getitem__(self, index):
        return list.__getitem__(self._fill(), index)

    def __iter__(self) -> Iterator[Instances]:
        return list.__iter__(self._fill())

    def __reversed__(self) -> Iterator[Instances]:
        return list.__reversed__(self._fill())

    def __repr__(self) -> str:
        return list.__repr__(self._fill())

    def __reduce__(self):
        return list, (list(iter(self)),)

    def __copy__(self) -> list[Instances]:
        return list(iter(self))


class PaddedProposals(LazyInstancesList):
    """The proposals of a batch, as tensors (B, P, ...), and as the list of `Instances` with the fields
    ``proposal_boxes`` and ``objectness_logits`` (reading which waits for the device once).

    Attributes:
        boxes: (B, P, 4) XYXY in pixels.
        logits: (B, P).
        valid: (B, P) bool; the valid rows of an image come first, best first. The others repeat its first
            row (boxes) and are of no meaning.
        image_sizes: (height, width) of each image.
        finite: scalar bool, whether all predictions were finite; None where nothing was predicted.
        counts: valid rows of each image, where known on the host.
    """

    box_class: type = Boxes

    def __init__(
        self,
        boxes: Tensor,
        logits: Tensor,
        valid: Tensor,
        image_sizes: ImageSizes,
        *,
        finite: Tensor | None = None,
        counts: list[int] | None = None,
    ) -> None:
        super().__init__(len(image_sizes))
        self.boxes = boxes
        self.logits = logits
        self.valid = valid
        self.image_sizes = list(image_sizes)
        self.finite = finite
        self.counts = counts

    def make(self) -> list[Instances]:
        if self.counts is None:
            self.counts = self.valid.sum(dim=1).tolist()
        out = []
        for size, boxes, logits, count in zip(
            self.image_sizes, self.boxes.unbind(), self.logits.unbind(), self.counts, strict=True
        ):
            fields = {"proposal_boxes": self.box_class(boxes[:count]), "objectness_logits": logits[:count]}
            out.append(Instances(size, **fields))
        return out

    def with_host_boxes(self) -> tuple[list[Instances], Tensor]:
        """The list of `Instances`, and all their boxes (N, 4) on the CPU; the device is waited for once."""
        host = torch.cat((self.boxes, self.valid.unsqueeze(-1).to(self.boxes.dtype)), dim=-1).cpu().numpy()
        valid = host[..., -1] > 0
        self.counts = valid.sum(axis=1).tolist()
        return list(iter(self)), torch.from_numpy(host[valid][:, :-1])

    def padded_instances(self) -> list[Instances]:
        """One `Instances` per image with all P rows, padding included (which repeats the best proposal)."""
        return [
            Instances(size, proposal_boxes=self.box_class(boxes), objectness_logits=logits)
            for size, boxes, logits in zip(
                self.image_sizes, self.boxes.unbind(), self.logits.unbind(), strict=True
            )
        ]

    @classmethod
    def from_instances(cls, proposals: Sequence[Instances]) -> Self:
        """Pad lists of proposals; their lengths are known, so nothing waits."""
        if isinstance(proposals, cls):
            return proposals
        counts = [len(x) for x in proposals]
        boxes, valid = pad_rows(cat_field(proposals, "proposal_boxes"), counts)
        if all(x.has("objectness_logits") for x in proposals):
            logits, _ = pad_rows(cat_field(proposals, "objectness_logits"), counts)
        else:
            logits = boxes.new_zeros(valid.shape)
        padded = cls(boxes, logits, valid, [x.image_size for x in proposals], counts=counts)
        padded.box_class = type(proposals[0].proposal_boxes) if len(proposals) else Boxes
        return padded


class GroundTruth:
    """The ground truth boxes of a batch, padded.

    Attributes:
        counts: objects of each image, on the host.
        boxes: (B, M, 4) XYXY in pixels (or (B, M, 5) rotated).
        classes: (B, M) int64; all 0 where they are not asked for.
        valid: (B, M) bool.
        instances: what it was made of.

    Of an image without objects only ``gt_boxes`` is asked for.

    Raises:
        ValueError: an image has no boxes, or objects without classes though `classes` is true.
    """

    def __init__(self, instances: Sequence[Instances], device: torch.device, *, classes: bool = True) -> None:
        self.instances = instances
        self.counts = [len(x) for x in instances]
        for i, x in enumerate(instances):
            if not x.has("gt_boxes"):
                raise ValueError(
                    f"image {i} has no gt_boxes in its 'instances', which detectors are trained on "
                    f"(fields: {list(x.get_fields())})"
                )
        fields = [cat_field(instances, "gt_boxes").to(device, non_blocking=True)]
        annotated = [x for x in instances if len(x)]
        if classes and annotated:
            for x in annotated:
                if not x.has("gt_classes"):
                    names = list(x.get_fields())
                    raise ValueError(f"an image has objects without gt_classes (fields: {names})")
            fields.append(cat_field(annotated, "gt_classes").to(device, non_blocking=True))
        padded, self.valid = pad_all(fields, self.counts)
        self.boxes = padded[0]
        if len(fields) > 1:
            self.classes = padded[1]
        else:
            self.classes = torch.zeros(self.valid.shape, dtype=torch.int64, device=device)
