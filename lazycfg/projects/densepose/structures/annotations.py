"""DensePose annotations of objects: points on a surface, relative to the box of their object."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures.rle import decode_rle

__all__ = ["MESH_NAMES", "DensePoseDataRelative", "DensePoseList"]

MESH_NAMES = (
    "smpl_27554",
    "chimp_5029",
    "cat_5001",
    "cat_7466",
    "sheep_5004",
    "zebra_5002",
    "horse_5004",
    "giraffe_5002",
    "elephant_5002",
    "dog_5002",
    "dog_7466",
    "cow_5002",
    "bear_4936",
)
"""The published meshes, in the order of their ids."""


class DensePoseDataRelative:
    """The annotated points of one object, and its coarse segmentation.

    Coordinates are relative to the box of the object: 0 is its left or upper side, 256 the other one.

    Attributes:
        x, y: (P,) float32, where the points are.
        i: (P,) int64, the part that each lies on, 1 to 24; None if the points have no charts.
        u, v: (P,) float32, coordinates in the chart of the part, 0 to 1; None like `i`.
        vertex_ids: (P,) int64, the vertex of the mesh next to each point; None if they have none.
        mesh_id: the mesh that `vertex_ids` are of, an index of the names of meshes; None like `vertex_ids`.
        segm: (256, 256) float32 over the box: coarse parts 1 to 14, 0 for the background; None without masks.
    """

    X_KEY = "dp_x"
    Y_KEY = "dp_y"
    U_KEY = "dp_U"
    V_KEY = "dp_V"
    I_KEY = "dp_I"
    S_KEY = "dp_masks"
    VERTEX_IDS_KEY = "dp_vertex"
    MESH_NAME_KEY = "ref_model"

    N_BODY_PARTS = 14
    N_PART_LABELS = 24
    MASK_SIZE = 256

    x: Tensor
    y: Tensor
    i: Tensor | None
    u: Tensor | None
    v: Tensor | None
    vertex_ids: Tensor | None
    mesh_id: int | None
    segm: Tensor | None

    def __init__(
        self,
        annotation: dict[str, Any],
        cleanup: bool = False,
        *,
        mesh_names: Sequence[str] = MESH_NAMES,
    ) -> None:
        """Read an annotation.

        Args:
            annotation: has "dp_x" and "dp_y", and "dp_I", "dp_U" and "dp_V" or "dp_vertex" and "ref_model";
                may have "dp_masks": one run-length encoded mask for each of up to 14 parts (empty for those
                that are not seen), one such mask of the whole object, or a tensor of labels.
            cleanup: remove these keys from the annotation.
            mesh_names: of the meshes, in the order of their ids.

        Raises:
            ValueError: it is no such annotation.
        """
        valid, reason = self.validate_annotation(annotation)
        if not valid:
            raise ValueError(f"no DensePose annotation: {reason}")
        self.x = torch.as_tensor(annotation[self.X_KEY], dtype=torch.float32)
        self.y = torch.as_tensor(annotation[self.Y_KEY], dtype=torch.float32)
        self.i = self.u = self.v = self.vertex_ids = self.mesh_id = None
        if all(annotation.get(key) is not None for key in (self.I_KEY, self.U_KEY, self.V_KEY)):
            self.i = torch.as_tensor(annotation[self.I_KEY]).to(torch.int64)
            self.u = torch.as_tensor(annotation[self.U_KEY], dtype=torch.float32)
            self.v = torch.as_tensor(annotation[self.V_KEY], dtype=torch.float32)
        if all(annotation.get(key) is not None for key in (self.VERTEX_IDS_KEY, self.MESH_NAME_KEY)):
            name = annotation[self.MESH_NAME_KEY]
            if name not in mesh_names:
                raise ValueError(
                    f"no DensePose annotation: its mesh ({self.MESH_NAME_KEY}) {name!r} is not among "
                    f"{', '.join(mesh_names)}"
                )
            self.vertex_ids = torch.as_tensor(annotation[self.VERTEX_IDS_KEY]).to(torch.int64)
            self.mesh_id = list(mesh_names).index(name)
        for key, values in (("y", self.y), ("i", self.i), ("u", self.u), ("v", self.v)):
            self._check_length(key, values)
        self._check_length("vertex", self.vertex_ids)
        self.segm = self.extract_segmentation_mask(annotation)
        if cleanup:
            self.cleanup_annotation(annotation)

    def _check_length(self, key: str, values: Tensor | None) -> None:
        if values is not None and values.shape != self.x.shape:
            raise ValueError(
                f"no DensePose annotation: dp_{key} has {values.numel()} values for {self.x.numel()} points"
            )

    @property
    def device(self) -> torch.device:
        """Return the device of the tensors."""
        return self.x.device

    def to(self, *args: Any, **kwargs: Any) -> DensePoseDataRelative:
        """Return a copy whose tensors are moved to a device; types are kept."""
        return self._map(lambda tensor: tensor.to(*args, **kwargs))

    def pin_memory(self) -> DensePoseDataRelative:
        """Return a copy in page-locked memory, which a GPU fetches faster."""
        return self._map(lambda tensor: tensor.pin_memory())

    def replace(self, **attributes: Any) -> DensePoseDataRelative:
        """Return a copy with other values of some attributes.

        Raises:
            AttributeError: there is no such attribute.
        """
        new = copy.copy(self)
        for name, value in attributes.items():
            if name not in vars(self):
                raise AttributeError(f"DensePoseDataRelative has no attribute {name!r}")
            setattr(new, name, value)
        return new

    def _map(self, function: Any) -> DensePoseDataRelative:
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return self.replace(**{name: function(value) for name, value in tensors.items()})

    @staticmethod
    def extract_segmentation_mask(annotation: Mapping[str, Any]) -> Tensor | None:
        """Return the coarse segmentation (256, 256) float32 of an annotation, None if it has none.

        Later masks lie above earlier ones.

        Raises:
            ValueError: masks of another size, or that cannot be decoded.
        """
        masks = annotation.get(DensePoseDataRelative.S_KEY)
        if masks is None:
            return None
        if isinstance(masks, Tensor):
            return masks
        side = DensePoseDataRelative.MASK_SIZE
        segm = np.zeros((side, side), dtype=np.float32)
        parts = [masks] if isinstance(masks, Mapping) else masks
        if len(parts) > DensePoseDataRelative.N_BODY_PARTS:
            raise ValueError(
                f"dp_masks has {len(parts)} masks, at most {DensePoseDataRelative.N_BODY_PARTS} are parts"
            )
        for number, rle in enumerate(parts, start=1):
            if not rle:
                continue
            mask = decode_rle(rle)
            if mask.shape != segm.shape:
                raise ValueError(f"dp_masks: mask {number} is of {mask.shape}, expected {segm.shape}")
            segm[mask] = number
        return torch.from_numpy(segm)

    @staticmethod
    def validate_annotation(annotation: Mapping[str, Any]) -> tuple[bool, str]:
        """Return whether an annotation has points on a chart or a mesh, and what is missing if it has not."""
        cls = DensePoseDataRelative
        missing = [key for key in (cls.X_KEY, cls.Y_KEY) if annotation.get(key) is None]
        if missing:
            return False, f"no {' and no '.join(missing)}"
        charts = all(annotation.get(key) is not None for key in (cls.I_KEY, cls.U_KEY, cls.V_KEY))
        vertices = all(annotation.get(key) is not None for key in (cls.VERTEX_IDS_KEY, cls.MESH_NAME_KEY))
        if not charts and not vertices:
            return False, "neither dp_I, dp_U and dp_V nor dp_vertex and ref_model"
        return True, ""

    @staticmethod
    def cleanup_annotation(annotation: dict[str, Any]) -> None:
        """Remove the keys of DensePose from an annotation."""
        cls = DensePoseDataRelative
        for key in (
            cls.X_KEY,
            cls.Y_KEY,
            cls.I_KEY,
            cls.U_KEY,
            cls.V_KEY,
            cls.S_KEY,
            cls.VERTEX_IDS_KEY,
            cls.MESH_NAME_KEY,
        ):
            annotation.pop(key, None)

    def __repr__(self) -> str:
        kinds = {"charts": self.i, f"vertices of mesh {self.mesh_id}": self.vertex_ids, "masks": self.segm}
        given = ", ".join(kind for kind, value in kinds.items() if value is not None)
        return f"DensePoseDataRelative({len(self.x)} points: {given})"


class DensePoseList:
    """The DensePose annotations of the objects of one image: the field ``gt_densepose`` of `Instances`.

    They stay on the host, as polygons do (``to(device)`` returns the same object): the losses copy the points
    of a batch to the device together, and the proposals of an object share its annotation.

    Args:
        densepose_datas: one for each object; None for those that have no annotation.
        boxes_xyxy_abs: (N, 4), the boxes of the objects, to which the annotations are relative.
        image_size_hw: height and width of the image.
    """

    def __init__(
        self,
        densepose_datas: Sequence[DensePoseDataRelative | None],
        boxes_xyxy_abs: Tensor,
        image_size_hw: tuple[int, int],
    ) -> None:
        boxes = torch.as_tensor(boxes_xyxy_abs)
        if boxes.shape != (len(densepose_datas), 4):
            raise ValueError(
                f"DensePoseList: expected boxes ({len(densepose_datas)}, 4) of {len(densepose_datas)} "
                f"annotations, got {tuple(boxes.shape)}"
            )
        self.densepose_datas = list(densepose_datas)
        self.boxes_xyxy_abs = boxes if boxes.device.type == "cpu" else boxes.cpu()
        self.image_size_hw = image_size_hw

    @property
    def device(self) -> torch.device:
        """Return the device: the host."""
        return torch.device("cpu")

    def to(self, *args: Any, **kwargs: Any) -> DensePoseList:
        """Return the annotations as they are: they stay on the host."""
        return self

    def __iter__(self) -> Iterator[DensePoseDataRelative | None]:
        return iter(self.densepose_datas)

    def __len__(self) -> int:
        return len(self.densepose_datas)

    def __getitem__(self, item: Any) -> Any:
        """Return the annotation of one object for a number, else a list of the chosen ones.

        Args:
            item: a number, a slice, numbers or a mask of bools.
        """
        if isinstance(item, int):
            return self.densepose_datas[item]
        if isinstance(item, slice):
            return DensePoseList(self.densepose_datas[item], self.boxes_xyxy_abs[item], self.image_size_hw)
        index = np.asarray(item.cpu() if isinstance(item, Tensor) else item)
        if index.dtype == bool:
            if index.shape != (len(self),):
                raise IndexError(f"a mask of shape {index.shape} does not fit {len(self)} objects")
            index = index.nonzero()[0]
        datas = [self.densepose_datas[i] for i in index]
        boxes = self.boxes_xyxy_abs[torch.from_numpy(index.astype(np.int64))]
        return DensePoseList(datas, boxes, self.image_size_hw)

    @staticmethod
    def cat(parts: Sequence[DensePoseList]) -> DensePoseList:
        """Join the lists of one image."""
        datas = [data for part in parts for data in part]
        return DensePoseList(datas, torch.cat([p.boxes_xyxy_abs for p in parts]), parts[0].image_size_hw)

    def __repr__(self) -> str:
        given = sum(data is not None for data in self.densepose_datas)
        return f"DensePoseList({given} of {len(self)} objects annotated)"
