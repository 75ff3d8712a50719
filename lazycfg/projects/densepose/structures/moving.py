"""DensePose annotations under the transforms of their image."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from lazycfg.data.transforms import Transform

from .annotations import DensePoseDataRelative
from .symmetry import DensePoseTransformData

__all__ = ["transform_densepose"]

SIDE = DensePoseDataRelative.MASK_SIZE
ROUNDING = 1e-2
"""How far a point may lie outside its box, in units of 1/256 of its side, and still be on its border."""


def transform_densepose(
    data: DensePoseDataRelative,
    transforms: Transform,
    box_before: np.ndarray,
    box_after: np.ndarray,
    *,
    symmetries: DensePoseTransformData | None = None,
    mesh_symmetries: Mapping[int, Tensor] | None = None,
) -> DensePoseDataRelative:
    """Move the points and the segmentation of an object as the transforms move the pixels of its image.

    Where the image comes out mirrored, left and right change their names. Points outside the new box, which
    have been cut off, are left out.

    Args:
        data: relative to `box_before`; it is not changed.
        transforms: of the image, any that keep lines straight and parallel.
        box_before: XYXY in pixels of the image before.
        box_after: XYXY in pixels of the image after, larger than nothing.
        symmetries: of the charts; needed for a mirrored image if the points have any.
        mesh_symmetries: id of a mesh -> (V,) int64, the vertex that takes the place of each one in a mirrored
            image; needed there if there are vertices.

    Raises:
        ValueError: a transform that bends, or symmetries that are needed and not given.
    """
    matrix, shift = affine_of(transforms)
    box_before, box_after = (np.asarray(box, dtype=np.float64) for box in (box_before, box_after))
    points = torch.stack((data.x, data.y), dim=1).double().numpy()
    points = _within(points @ np.diag(_size(box_before) / SIDE) + box_before[:2], matrix, shift, box_after)
    kept = torch.from_numpy(((points >= -ROUNDING) & (points <= SIDE + ROUNDING)).all(axis=1))
    x, y = torch.from_numpy(points.clip(0, SIDE).astype(np.float32))[kept].unbind(dim=1)
    moved = data.replace(
        x=x,
        y=y,
        i=None if data.i is None else data.i[kept],
        u=None if data.u is None else data.u[kept],
        v=None if data.v is None else data.v[kept],
        vertex_ids=None if data.vertex_ids is None else data.vertex_ids[kept],
        segm=None if data.segm is None else _moved_mask(data.segm, matrix, shift, box_before, box_after),
    )
    return _mirrored(moved, symmetries, mesh_symmetries or {}) if np.linalg.det(matrix) < 0 else moved


def affine_of(transforms: Transform) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix (2, 2) and the shift (2,) of p -> matrix p + shift, which transforms do to points.

    Raises:
        ValueError: they do something else.
    """
    probe = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0], [70.0, 170.0]])
    moved = np.asarray(transforms.apply_coords(probe.copy()), dtype=np.float64)
    shift = moved[0]
    matrix = (moved[1:3] - shift).T / 100
    if not np.allclose(moved[3], matrix @ probe[3] + shift, atol=1e-3) or abs(np.linalg.det(matrix)) < 1e-12:
        raise ValueError(
            f"DensePose annotations cannot be moved as {transforms} moves pixels: parallel lines must stay "
            "parallel (dataloader.train.mapper.augmentations)"
        )
    return matrix, shift


def _size(box: np.ndarray) -> np.ndarray:
    return box[2:] - box[:2]


def _within(points: np.ndarray, matrix: np.ndarray, shift: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return where points (P, 2) in pixels come to lie, in units of 1/256 of a box."""
    return (points @ matrix.T + shift - box[:2]) / _size(box) * SIDE


def _moved_mask(
    segm: Tensor, matrix: np.ndarray, shift: np.ndarray, box_before: np.ndarray, box_after: np.ndarray
) -> Tensor:
    """Sample the labels (256, 256) at the nearest pixels; outside of the old box is background."""
    centre = (np.arange(SIDE) + 0.5) / SIDE
    grid = np.stack(np.meshgrid(centre, centre), axis=-1).reshape(-1, 2)
    inverse = np.linalg.inv(matrix)
    old = (grid * _size(box_after) + box_after[:2] - shift) @ inverse.T
    index = np.floor((old - box_before[:2]) / _size(box_before) * SIDE).astype(np.int64)
    inside = ((index >= 0) & (index < SIDE)).all(axis=1)
    column, row = index.clip(0, SIDE - 1).T
    values = segm[torch.from_numpy(row), torch.from_numpy(column)]
    return torch.where(torch.from_numpy(inside), values, torch.zeros_like(values)).view(SIDE, SIDE)


def _mirrored(
    data: DensePoseDataRelative,
    symmetries: DensePoseTransformData | None,
    mesh_symmetries: Mapping[int, Tensor],
) -> DensePoseDataRelative:
    if symmetries is None and data.i is not None:
        raise ValueError(
            "an image with DensePose annotations is mirrored, and it is not known which parts swap: give the "
            "mapper symmetry_file=.../UV_symmetry_transforms.mat, or take the flips out of its augmentations"
        )
    if symmetries is not None and data.i is not None:
        assert data.u is not None
        assert data.v is not None
        i, u, v = symmetries.mirror_points(data.i, data.u, data.v)
        data = data.replace(i=i, u=u, v=v)
    if data.segm is not None:
        data = data.replace(segm=DensePoseTransformData.mirror_masks(data.segm))
    if data.vertex_ids is None or data.mesh_id is None:
        return data
    if data.mesh_id not in mesh_symmetries:
        raise ValueError(
            "an image with DensePose annotations is mirrored, and it is not known which vertices of mesh "
            f"{data.mesh_id} swap: give the mapper meshes=[Mesh(name=..., symmetry=...)], or take the flips "
            "out of its augmentations"
        )
    return data.replace(vertex_ids=mesh_symmetries[data.mesh_id][data.vertex_ids])
