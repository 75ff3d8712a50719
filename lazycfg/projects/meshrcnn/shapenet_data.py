"""ShapeNet as Mesh R-CNN's authors prepare it: renders of models, their meshes, points and voxels."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.data import AnnotationError, Metadata
from lazycfg.data.datasets.base import Record, SerializedList, describe
from lazycfg.data.image import read_image

from .shapenet_models import project, world_to_voxel

__all__ = ["SHAPENET_CLASSES", "ShapeNetDataset", "ShapeNetMapper"]

SHAPENET_CLASSES = {
    "02691156": "airplane",
    "02828884": "bench",
    "02933112": "cabinet",
    "02958343": "car",
    "03001627": "chair",
    "03211117": "display",
    "03636649": "lamp",
    "03691459": "speaker",
    "04090263": "rifle",
    "04256520": "sofa",
    "04379243": "table",
    "04401088": "phone",
    "04530566": "watercraft",
}


class ShapeNetDataset:
    """The views of the models of one split.

    A model is a folder `<data_dir>/<class>/<model>` with `metadata.pt`, `mesh.pt`, `samples.pt`, `voxels.pt`
    and `images/`, of which only the names are looked at here.

    Args:
        data_dir: folder of the classes.
        splits_file: JSON file {split: {class: {model: [numbers of views]}}}.
        split: "train", "val" or "test".
        name: for logs.

    Raises:
        AnnotationError: the file is no such file or lacks the split, or there is no folder of a model.
    """

    validated = True

    def __init__(
        self,
        *,
        data_dir: str | os.PathLike[str],
        splits_file: str | os.PathLike[str],
        split: str,
        name: str = "shapenet",
    ) -> None:
        self.data_dir = str(data_dir)
        try:
            splits = json.loads(Path(splits_file).read_text())
        except json.JSONDecodeError as error:
            raise AnnotationError(f"{splits_file}: no JSON file: {error}") from error
        if not isinstance(splits, dict) or split not in splits:
            have = ", ".join(splits) if isinstance(splits, dict) else "no dict"
            raise AnnotationError(f"{splits_file}: there is no split {split!r} in it ({have})")
        records, missing = [], []
        for label, models in sorted(splits[split].items()):
            for model, views in sorted(models.items()):
                folder = os.path.join(self.data_dir, label, model)
                if not os.path.isdir(folder):
                    missing.append(folder)
                    continue
                records += [
                    {"image_id": f"{label}/{model}/{view}", "folder": folder, "class_id": label, "view": view}
                    for view in views
                ]
        if missing:
            raise AnnotationError(
                f"{splits_file}: {len(missing)} models of {split!r} have no folder; first: {missing[:3]}"
            )
        self._records = SerializedList(records)
        names = tuple(SHAPENET_CLASSES.get(label, label) for label in sorted(splits[split]))
        self.metadata = Metadata(name=name, thing_classes=names)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Record:
        """Return a dict with "image_id" (class, model and view), "folder", "class_id" and "view"."""
        return self._records[index]

    def __repr__(self) -> str:
        return f"ShapeNetDataset({self.data_dir!r}, {len(self)} views)"


class ShapeNetMapper:
    """Reads one view: "image" (3, H, W) uint8 RGB, and everything else in the coordinates of its camera.

    In training "points" and "normals" (P, 3), drawn from those of the model, and "voxels" (V, V, V) bool,
    indexed by z, y (from the top) and x; else "mesh", (vertices, faces), for the evaluation.

    Args:
        is_train: which of the two.
        num_samples: points to draw.
        voxel_size: cells of a side; 0: no voxels.
    """

    def __init__(self, *, is_train: bool, num_samples: int = 5000, voxel_size: int = 48) -> None:
        self.is_train = is_train
        self.image_format = "RGB"
        self.num_samples = num_samples
        self.voxel_size = voxel_size

    def __call__(self, record: Mapping[str, Any], rng: np.random.Generator | None = None) -> dict[str, Any]:
        """Map one record; a record of an image alone ("file_name" or "image") gives the image.

        Raises:
            FileNotFoundError, ImageError: the image cannot be read.
            AnnotationError: a file of the model cannot be read, or lacks something; the message names it.
        """
        if "folder" not in record:
            if "image" in record:
                return {**record, "image": torch.as_tensor(record["image"])}
            return {**record, "image": read_image(record["file_name"], "RGB")}
        rng = np.random.default_rng() if rng is None else rng
        folder, view = record["folder"], int(record["view"])
        names, extrinsics = load_tensors(folder, "metadata.pt", "image_list", "extrinsics")
        if not 0 <= view < min(len(names), len(extrinsics)):
            raise AnnotationError(f"{describe(record)}: {folder}/metadata.pt has {len(names)} views")
        file = os.path.join(folder, "images", names[view])
        pose = extrinsics[view].float()
        sample = {**record, "file_name": file, "image": read_image(file, "RGB")}
        sample["height"], sample["width"] = sample["image"].shape[1:]
        if not self.is_train:
            verts, faces = load_tensors(folder, "mesh.pt", "verts", "faces")
            return sample | {"mesh": (project(verts.float(), pose), faces.long())}
        points, normals = load_tensors(folder, "samples.pt", "points_sampled", "normals_sampled")
        if not len(points):
            raise AnnotationError(f"{folder}/samples.pt has no points")
        few = len(points) < self.num_samples
        drawn = torch.from_numpy(rng.choice(len(points), self.num_samples, replace=few))
        sample["points"] = project(points[drawn].float(), pose)
        sample["normals"] = normals[drawn].float() @ pose[:3, :3].t()
        if self.voxel_size:
            sample["voxels"] = self._voxels(folder, view, pose)
        return sample

    def _voxels(self, folder: str, view: int, pose: Tensor) -> Tensor:
        """(V, V, V) bool: those that lie ready for the view, or else those of the model, projected."""
        ready = os.path.join(folder, f"vox{self.voxel_size}", f"{view:03d}.pt")
        if os.path.isfile(ready):
            grid = torch.load(ready, map_location="cpu", weights_only=True)
            return torch.as_tensor(grid) > 0
        (points,) = load_tensors(folder, "voxels.pt", "voxel_coords")
        return draw_voxels(project(points.float(), pose), self.voxel_size)


def draw_voxels(points: Tensor, size: int) -> Tensor:
    """Draw points (P, 3) before the camera into a grid (size, size, size), indexed by z, y and x."""
    cells = (0.5 * (size - 1) * (world_to_voxel(points) + 1)).round()
    x, y, z = cells[((cells >= 0) & (cells < size)).all(dim=1)].long().unbind(1)
    grid = torch.zeros(size, size, size, dtype=torch.bool)
    grid[z, y, x] = True
    return grid


def load_tensors(folder: str, name: str, *keys: str) -> Sequence[Any]:
    """Read values of a dict of tensors that torch saved.

    Raises:
        AnnotationError: it is no such file, or lacks a key.
    """
    path = os.path.join(folder, name)
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise AnnotationError(f"{path} cannot be read: {error}") from error
    missing = [key for key in keys if not isinstance(values, dict) or key not in values]
    if missing:
        raise AnnotationError(f"{path}: there is no {' and no '.join(map(repr, missing))} in it")
    return [values[key] for key in keys]
