"""The annotations of all proposals of a batch, packed on the host and copied to the device at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.modeling.transfer import upload
from lazycfg.structures import Instances

from ...structures.annotations import DensePoseDataRelative

__all__ = ["PackedMasks", "PackedPoints", "annotations_of", "pack_masks", "pack_points"]


@dataclass(frozen=True)
class PackedPoints:
    """The annotated points of all proposals.

    Attributes:
        pairs: (P,) int64, the proposal that each point belongs to, counted over all images.
        columns: (P,) float32 values of the points by name.
    """

    pairs: Tensor
    columns: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, name: str) -> Tensor:
        return self.columns[name]


@dataclass(frozen=True)
class PackedMasks:
    """The coarse segmentations of all proposals that have one.

    Attributes:
        pairs: (R,) int64, the proposal that each belongs to, counted over all images.
        masks: (M, H, W) uint8 labels, those of each object once.
        indices: (R,) int64, the mask of each.
    """

    pairs: Tensor
    masks: Tensor
    indices: Tensor


def annotations_of(proposals: Sequence[Instances]) -> list[DensePoseDataRelative | None]:
    """Return the annotation of each proposal of all images; None for those without."""
    out: list[DensePoseDataRelative | None] = []
    for x in proposals:
        out += x.gt_densepose if x.has("gt_densepose") else [None] * len(x)
    return out


@torch.compiler.disable
@torch.no_grad()
def pack_points(
    annotations: Sequence[DensePoseDataRelative | None], names: Sequence[str], device: torch.device
) -> PackedPoints:
    """Pack the points of annotations that have all of the named attributes.

    Args:
        annotations: of each proposal, None for those without; proposals of one object share it.
        names: attributes of `DensePoseDataRelative`; a number stands for all points of the object.
        device: where the result is put. Nothing waits for it.
    """
    tables: dict[int, np.ndarray | None] = {}
    pairs, parts = [], []
    for pair, data in enumerate(annotations):
        if data is None:
            continue
        if id(data) not in tables:
            tables[id(data)] = table_of(data, names)
        table = tables[id(data)]
        if table is not None and table.shape[1]:
            pairs.append(np.full((1, table.shape[1]), pair, dtype=np.float32))
            parts.append(table)
    rows = np.zeros((1 + len(names), 0), dtype=np.float32)
    if parts:
        rows = np.concatenate((np.concatenate(pairs, axis=1), np.concatenate(parts, axis=1)))
    # one copy: float32 holds whole numbers up to 2^24, more than there are proposals, parts or vertices
    first, *columns = upload(rows, device, torch.float32).unbind()
    return PackedPoints(first.long(), dict(zip(names, columns, strict=True)))


def table_of(data: DensePoseDataRelative, names: Sequence[str]) -> np.ndarray | None:
    """Return the points of one object as (K, P) float32 for K names; None if an attribute is missing."""
    values: list[Any] = [getattr(data, name) for name in names]
    if any(value is None for value in values):
        return None
    rows = np.zeros((len(names), len(data.x)), dtype=np.float32)
    for row, value in zip(rows, values, strict=True):
        row[:] = on_host(value) if isinstance(value, Tensor) else value
    return rows


@torch.compiler.disable
@torch.no_grad()
def pack_masks(
    annotations: Sequence[DensePoseDataRelative | None], num_labels: int, device: torch.device
) -> PackedMasks:
    """Pack the coarse segmentations of annotations with at least one point.

    Args:
        annotations: of each proposal, None for those without; proposals of one object share it.
        num_labels: labels are below this.
        device: where the result is put. Nothing waits for it.

    Raises:
        ValueError: a mask of another size than the others, or with a label that is too large.
    """
    masks: dict[int, np.ndarray] = {}
    pairs, keys = [], []
    for pair, data in enumerate(annotations):
        if data is None or data.segm is None or not len(data.x):
            continue
        if id(data) not in masks:
            masks[id(data)] = checked_mask(data.segm, num_labels, masks)
        pairs.append(pair)
        keys.append(id(data))
    rows = {key: row for row, key in enumerate(masks)}
    table = np.array([pairs, [rows[key] for key in keys]], dtype=np.int64)
    stacked = np.stack(list(masks.values())) if masks else np.zeros((0, 1, 1), dtype=np.uint8)
    where = upload(table, device, torch.int64)
    return PackedMasks(where[0], upload(stacked, device, torch.uint8), where[1])


def checked_mask(segm: Tensor, num_labels: int, others: dict[int, np.ndarray]) -> np.ndarray:
    """Return labels (H, W) uint8.

    Raises:
        ValueError: a label is not among those of the model.
    """
    mask = on_host(segm)
    size = next((other.shape for other in others.values()), mask.shape)
    if mask.ndim != 2 or mask.shape != size:
        raise ValueError(
            f"DensePose: a coarse segmentation (dp_masks) is of shape {mask.shape}, expected {size}"
        )
    if mask.size and not 0 <= mask.min() <= mask.max() < num_labels:
        raise ValueError(
            f"DensePose: a coarse segmentation (dp_masks) has labels {mask.min():g} to {mask.max():g}, the "
            f"model has {num_labels} channels for them: n_segm_chan of the losses and "
            f"num_coarse_segm_channels of the predictor"
        )
    return mask.astype(np.uint8)


def on_host(tensor: Tensor) -> np.ndarray:
    """Return a tensor as an array of its shape, without a copy where it is on the host."""
    return (tensor if tensor.device.type == "cpu" else tensor.cpu()).detach().numpy()
