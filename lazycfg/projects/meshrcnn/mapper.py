"""The mapper that gives shapes and cameras to the instances."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.data import DatasetMapper, ImageError
from lazycfg.data.datasets.base import Record, describe
from lazycfg.data.image import read_image
from lazycfg.data.transforms import HFlipTransform, ResizeTransform, TransformList
from lazycfg.data.transforms.transform import ColorTransformBase
from lazycfg.structures import BitMasks

from .pix3d import camera_points, load_mesh, load_voxels
from .structures import MeshInstances, VoxelInstances

__all__ = ["Pix3DMapper"]


class Pix3DMapper(DatasetMapper):
    """`DatasetMapper` of records of `Pix3DDataset`. Instances have, besides boxes and classes, what follows.

    - ``gt_K`` (N, 3): the focal length and the centre of the augmented image, in pixels;
    - ``gt_dz`` (N,): how far an object reaches in depth, in pixels, as its height would be seen;
    - ``gt_masks``: `BitMasks`; a pixel is part of an object if any of the pixels is that it is made of;
    - ``gt_meshes``, ``gt_voxels``: `MeshInstances`, `VoxelInstances` in camera coordinates.

    The focal length stays as it is when an image is resized; x and y of the shapes are scaled instead.

    Args:
        use_voxels, use_meshes: give ``gt_voxels``, ``gt_meshes``.
        kwargs: the arguments of `DatasetMapper`. Of the augmentations that move pixels only horizontal flips
            and resizing are allowed: a camera that looks past the centre of its image is not provided for.
    """

    def __init__(self, *, use_voxels: bool = True, use_meshes: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.use_instance_mask or self.use_keypoint or self.use_rotated_box:
            raise ValueError(
                "Pix3DMapper always gives masks, and neither keypoints nor rotated boxes: leave "
                "use_instance_mask, use_keypoint and use_rotated_box out"
            )
        self.use_voxels = use_voxels
        self.use_meshes = use_meshes

    def further_fields(
        self,
        annotations: list[dict[str, Any]],
        transforms: TransformList,
        image_size: tuple[int, int],
        record: Record,
        rng: np.random.Generator,
    ) -> dict[str, Any]:
        """Return the fields above.

        Raises:
            ValueError: an augmentation that cannot be followed, or an object that is not before the camera.
            FileNotFoundError, ImageError, MeshFileError: a file of a mask, mesh or voxels.
        """
        steps = list(transforms)
        for step in steps:
            if not isinstance(step, HFlipTransform | ResizeTransform | ColorTransformBase):
                raise ValueError(
                    f"Pix3DMapper cannot move shapes as {type(step).__name__} moves pixels: use horizontal "
                    "flips, resizing and colours only (dataloader.train.mapper.augmentations)"
                )
        height, width = image_size
        factor = image_size[0] / record["height"]
        meshes, voxels, masks, extents = [], [], [], []
        for number, annotation in enumerate(annotations):
            where = f"{describe(record)}: annotation {number}"
            for key in ("mask_file", "voxel", "model", "K", "rot_mat", "trans_mat"):
                if annotation.get(key) is None:
                    raise ValueError(
                        f"{where} has no {key!r}, which Pix3DMapper needs: read it by Pix3DDataset"
                    )
            verts, faces = load_mesh(annotation["model"])
            verts = camera_points(verts, annotation)
            near, far = verts[:, 2].min().item(), verts[:, 2].max().item()
            if near <= 0:
                raise ValueError(f"{where}: the object begins at depth {near:.3g}, not before the camera")
            extents.append(max(far - near, 1e-6) / ((far + near) / 2) * annotation["K"][0] * factor)
            masks.append(self._mask(annotation["mask_file"], steps, record, where))
            if self.use_meshes:
                meshes.append((moved_shape(verts, steps), faces))
            if self.use_voxels:
                points = camera_points(load_voxels(annotation["voxel"]), annotation)
                voxels.append(moved_shape(points, steps))
        cameras = [(a["K"][0], width / 2, height / 2) for a in annotations]
        fields: dict[str, Any] = {
            "gt_K": torch.tensor(cameras, dtype=torch.float32).view(-1, 3),
            "gt_dz": torch.tensor(extents, dtype=torch.float32),
            "gt_masks": BitMasks(
                torch.stack(masks) if masks else torch.zeros(0, *image_size, dtype=torch.bool)
            ),
        }
        if self.use_meshes:
            fields["gt_meshes"] = MeshInstances(meshes)
        if self.use_voxels:
            fields["gt_voxels"] = VoxelInstances(voxels)
        return fields

    def _mask(self, path: str, steps: list[Any], record: Record, where: str) -> Tensor:
        """(H, W) bool after the transforms."""
        mask = read_image(path, "L", max_pixels=self.max_image_pixels)
        if mask.shape[1:] != (record["height"], record["width"]):
            raise ImageError(
                f"{where}: the mask {path!r} is {mask.shape[2]}x{mask.shape[1]} (width x height), its image "
                f"{record['width']}x{record['height']}"
            )
        for step in steps:
            if not isinstance(step, ColorTransformBase):
                mask = step.transform_image(mask)
        return mask[0] > 0


def moved_shape(points: Tensor, steps: list[Any]) -> Tensor:
    """Points (P, 3) in camera coordinates as they are seen in a flipped and resized image."""
    points = points.clone()
    for step in steps:
        if isinstance(step, HFlipTransform):
            points[:, 0] = -points[:, 0]
        elif isinstance(step, ResizeTransform):
            points[:, :2] = torch.from_numpy(step.apply_coords(points[:, :2].numpy())).to(points.dtype)
    return points
