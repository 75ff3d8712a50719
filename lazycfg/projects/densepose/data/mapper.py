"""The mapper that gives DensePose annotations to the instances."""

import os
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lazycfg.data import DatasetMapper
from lazycfg.data.datasets.base import Record, describe
from lazycfg.data.transforms import TransformList
from lazycfg.structures import BoxMode

from ..structures import (
    MESH_NAMES,
    DensePoseDataRelative,
    DensePoseList,
    DensePoseTransformData,
    transform_densepose,
)

__all__ = ["DensePoseMapper"]


class HasSymmetry(Protocol):
    """A mesh that knows which vertex takes the place of each one in a mirrored image."""

    @property
    def name(self) -> str:
        """Return the name of the mesh."""

    def read_symmetry(self) -> Tensor:
        """Return (V,) int64, the vertex on the other side of each."""


class DensePoseMapper(DatasetMapper):
    """`DatasetMapper` of records with DensePose annotations.

    Instances have ``gt_densepose`` besides, a `DensePoseList`, if any object of the image is annotated.
    Points and segmentations follow every augmentation that keeps parallel lines parallel: they are relative
    to the box after it, and what has been cut off is left out.

    Args:
        symmetry_file: UV_symmetry_transforms.mat; needed where images are mirrored.
        meshes: of the annotated vertices, with their symmetries; needed where images are mirrored.
        mesh_names: in the order of their ids, as the model has them.
        use_charts, use_vertices: give the points' places in charts, and their vertices. A model that is not
            trained on one of them does not need the symmetries of it, either.
        kwargs: the arguments of `DatasetMapper`. Masks, where they are used, had better be bitmasks: the
            segmentation of people often comes as run lengths.

    Raises:
        FileNotFoundError, DensePoseFileError, MeshFileError: a file of symmetries is not there, or is
            something else.
    """

    def __init__(
        self,
        *,
        symmetry_file: str | os.PathLike[str] | None = None,
        meshes: Sequence[HasSymmetry] = (),
        mesh_names: Sequence[str] = MESH_NAMES,
        use_charts: bool = True,
        use_vertices: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if self.use_rotated_box or self.recompute_boxes:
            raise ValueError(
                "DensePoseMapper: annotations are relative to the upright boxes of the file, so that neither "
                "use_rotated_box nor recompute_boxes can be used"
            )
        unknown = [mesh.name for mesh in meshes if mesh.name not in mesh_names]
        if unknown:
            raise ValueError(f"DensePoseMapper: meshes {unknown} are not among mesh_names {list(mesh_names)}")
        self.mesh_names = tuple(mesh_names)
        self.use_charts = use_charts
        self.use_vertices = use_vertices
        self.symmetries = None if symmetry_file is None else DensePoseTransformData.load(symmetry_file)
        self.mesh_symmetries = {self.mesh_names.index(mesh.name): mesh.read_symmetry() for mesh in meshes}

    def further_fields(
        self,
        annotations: list[dict[str, Any]],
        transforms: TransformList,
        image_size: tuple[int, int],
        record: Record,
        rng: np.random.Generator,
    ) -> dict[str, Any]:
        """Return ``gt_densepose``.

        Raises:
            ValueError: an annotation that cannot be right, or augmentations that cannot be followed.
        """
        before = np.array([_box(a) for a in annotations]).reshape(-1, 4)
        height, width = image_size
        after = np.clip(transforms.apply_box(before), 0, [width, height, width, height])
        datas = [
            self._data(annotation, transforms, old, new, f"{describe(record)}: annotation {number}")
            for number, (annotation, old, new) in enumerate(zip(annotations, before, after, strict=True))
        ]
        if not any(datas):
            return {}
        boxes = torch.from_numpy(after.astype(np.float32))
        return {"gt_densepose": DensePoseList(datas, boxes, image_size)}

    def _data(
        self,
        annotation: dict[str, Any],
        transforms: TransformList,
        before: np.ndarray,
        after: np.ndarray,
        where: str,
    ) -> DensePoseDataRelative | None:
        if not DensePoseDataRelative.validate_annotation(annotation)[0] or (after[2:] <= after[:2]).any():
            return None
        try:
            data = DensePoseDataRelative(annotation, mesh_names=self.mesh_names)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        if not self.use_charts:
            data = data.replace(i=None, u=None, v=None)
        if not self.use_vertices:
            data = data.replace(vertex_ids=None, mesh_id=None)
        if data.i is None and data.vertex_ids is None:
            return None
        try:
            return transform_densepose(
                data,
                transforms,
                before,
                after,
                symmetries=self.symmetries,
                mesh_symmetries=self.mesh_symmetries,
            )
        except ValueError as error:
            error.add_note(f"at {where}")
            raise


def _box(annotation: dict[str, Any]) -> np.ndarray:
    box = BoxMode.convert(list(annotation["bbox"]), annotation["bbox_mode"], BoxMode.XYXY_ABS)
    return np.array(box, dtype=np.float64)
