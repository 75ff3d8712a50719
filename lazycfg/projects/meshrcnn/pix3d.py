"""The data of Pix3D (arXiv:1804.04610): images, each with an object, its mask, voxels, mesh and camera."""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.data import CocoDataset
from lazycfg.data.datasets.base import SerializedList
from lazycfg.data.datasets.coco_validation import Problem, is_number
from lazycfg.structures import MeshFileError, load_obj

__all__ = ["PIX3D_UNREADABLE", "Pix3DDataset", "camera_points", "load_mesh", "load_voxels"]

PIX3D_UNREADABLE = ("img/table/1749.jpg", "img/table/0045.png")
"""Images that the reference leaves out in training and evaluation."""

FILES = {"mask_file": "segmentation", "voxel": "voxel", "model": "model"}
CAMERA = {"rot_mat": (3, 3), "trans_mat": (3,)}


class Pix3DDataset(CocoDataset):
    """A `CocoDataset` whose annotations have the shape of their object.

    In the file an annotation has, besides "bbox" and "category_id": "segmentation", the path of an image that
    is the mask; "voxel", of a MATLAB file with an array "voxel"; "model", of an OBJ file; and the camera:
    "K", of which the first number is the focal length in pixels, "rot_mat" (3 x 3) and "trans_mat" (3), which
    take a point p of the model to rot_mat p + trans_mat. Paths start at `image_root`.

    Records have these under the same names, but the mask as "mask_file"; paths are whole.

    Args:
        json_file: annotation file.
        ignore_images: file names of images that are left out.
        kwargs: the arguments of `CocoDataset`. With on_error="skip" annotations whose shape or camera cannot
            be right, or whose files are missing, are left out, too.

    Raises:
        AnnotationError: a shape or camera that cannot be right; the message names file, image and annotation.
    """

    validated = True

    def __init__(
        self,
        *,
        json_file: str | os.PathLike[str],
        ignore_images: Sequence[str] = PIX3D_UNREADABLE,
        extra_annotation_keys: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        keys = dict.fromkeys((*FILES, "K", *CAMERA, *extra_annotation_keys))
        super().__init__(json_file=json_file, extra_annotation_keys=tuple(keys), **kwargs)
        unwanted = {os.path.join(self.image_root, name) for name in ignore_images}
        records = list(self._records)
        kept = [i for i, record in enumerate(records) if record["file_name"] not in unwanted]
        for i in kept:
            for annotation in records[i]["annotations"]:
                for key in FILES:
                    annotation[key] = os.path.join(self.image_root, annotation[key])
        self._records = SerializedList(records[i] for i in kept)
        self.image_sizes = self.image_sizes[kept]

    def as_coco(self, annotation: dict[str, Any]) -> dict[str, Any]:
        """Return an annotation with its box in COCO's form."""
        annotation["mask_file"] = annotation.pop("segmentation", None)
        return annotation

    def further_problem(self, annotation: dict[str, Any], image: dict[str, Any]) -> Problem | None:
        """Return what is wrong with the camera, the voxels or the mesh of an annotation, or None."""
        for key, named in FILES.items():
            path = annotation.get(key)
            if not isinstance(path, str) or not path:
                return Problem(f"without {named}", f"{named} must be the path of a file, got {path!r}")
            if not os.path.isfile(os.path.join(self.image_root, path)):
                return Problem(f"{named} is missing", f"{named}: no file {path!r} in {self.image_root!r}")
        K = annotation.get("K")
        if not isinstance(K, list) or not K or not is_number(K[0]) or K[0] <= 0:
            return Problem("wrong camera", f"K must be numbers, the focal length in pixels first, got {K!r}")
        for key, shape in CAMERA.items():
            try:
                value = np.array(annotation.get(key), dtype=np.float64)
            except (TypeError, ValueError):
                value = np.zeros(0)
            if value.shape != shape or not np.isfinite(value).all():
                return Problem(
                    "wrong camera",
                    f"{key} must be {' x '.join(map(str, shape))} numbers, got {annotation.get(key)!r}",
                )
        return None


def load_mesh(path: str) -> tuple[Tensor, Tensor]:
    """Read an OBJ file: vertices (V, 3) float32 and faces (F, 3) int64. The last 512 files are kept in memory
    until they change; the tensors are shared, so they must not be changed.

    Raises:
        FileNotFoundError, MeshFileError: it cannot be read, or has no faces.
    """
    state = os.stat(path)
    return _load_mesh(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=512)
def _load_mesh(path: str, changed: int, size: int) -> tuple[Tensor, Tensor]:
    verts, faces = load_obj(path)
    if not len(faces):
        raise MeshFileError(f"{path}: the mesh has no faces")
    return verts, faces


def load_voxels(path: str) -> Tensor:
    """Read the occupied cells of a Pix3D model as points (P, 3) float32 in the coordinates of its mesh:
    centred, at most 0.5 from the origin.

    Raises:
        ImportError: scipy is not installed.
        MeshFileError: it is no such file, or nothing is occupied.
    """
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ImportError("the voxels of Pix3D are MATLAB files: pip install scipy") from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {path!r}")
    try:
        grid = np.asarray(loadmat(path)["voxel"])
    except Exception as error:
        raise MeshFileError(f"{path}: no MATLAB file with an array 'voxel': {error}") from error
    if grid.ndim != 3 or not (grid > 0).any():
        raise MeshFileError(
            f"{path}: 'voxel' must have three dimensions and an occupied cell, got {grid.shape}"
        )
    points = np.argwhere(np.rot90(grid, k=3, axes=(1, 2)) > 0).astype(np.float64)
    points -= (points.min(axis=0) + points.max(axis=0)) / 2
    longest = np.linalg.norm(points, axis=1).max()
    return torch.from_numpy((points / max(2 * longest, 1e-8)).astype(np.float32))


def camera_points(points: Tensor, annotation: dict[str, Any]) -> Tensor:
    """Points (P, 3) of a model in the coordinates of the camera: x left, y up, z ahead."""
    rotation = torch.tensor(annotation["rot_mat"], dtype=points.dtype)
    return points @ rotation.t() + torch.tensor(annotation["trans_mat"], dtype=points.dtype)
