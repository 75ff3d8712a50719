"""How alike the detections and the objects of an image are: point similarity, and overlaps of masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from lazycfg.structures import polygons_to_bitmask
from lazycfg.structures.rle import decode_rle

from ..cse.closest_vertices import nearest_rows
from ..structures import (
    DensePoseChartPredictorOutput,
    DensePoseDataRelative,
    chart_results,
    make_int_box,
    quantize_chart_result,
    resize_maps,
)
from .surface import ChartSurface, kappa_of_parts

__all__ = [
    "ChartLikeness",
    "DataMode",
    "EmbeddingLikeness",
    "Likeness",
    "mask_overlaps",
    "object_mask",
]

DataMode = Literal["IUV_DT", "IUV_GT", "I_GT_UV_0", "I_GT_UV_DT", "I_DT_UV_0"]
"""Where parts and coordinates are taken from, to see what costs how much: DT from the detection, GT from the
annotation, 0 stands for zeros. Points outside the detection are background in any case."""

KAPPA = 0.255
"""Of meshes whose parts are not known."""


class Likeness(Protocol):
    """What the evaluator asks of predictions of one kind."""

    def check(self, output: Any) -> None:
        """Raise TypeError if the output is of another kind."""

    def look(self, output: Any, boxes: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return for each of D detections what is seen in its box, in whole pixels.

        Args:
            output: of the detections, on the host.
            boxes: (D, 4) XYXY in pixels.

        Returns:
            the mask (h, w) bool, and maps (C, h, w) for `gps`.
        """
        ...

    def gps(
        self, seen: Sequence[Tensor], boxes: Tensor, annotations: Sequence[Mapping[str, Any] | None]
    ) -> np.ndarray:
        """Return the geodesic point similarity (D, G) of D detections and G objects.

        Args:
            seen: the maps of each detection, see `look`.
            boxes: (D, 4) XYXY in pixels.
            annotations: of each object with "bbox" XYWH; None for those that are not compared: 0.
        """
        ...


class _AtPoints:
    """The annotated points of an object in the boxes of all detections."""

    def __init__(self, boxes: Tensor, annotation: Mapping[str, Any]) -> None:
        x, y, w, h = annotation["bbox"]
        corner, size = boxes[:, :2].double().numpy(), (boxes[:, 2:] - boxes[:, :2]).double().numpy()
        point_x = np.asarray(annotation["dp_x"], dtype=np.float64) * w / 255 + x
        point_y = np.asarray(annotation["dp_y"], dtype=np.float64) * h / 255 + y
        # (D, P), whole pixels of the detection
        self.column = (point_x - corner[:, :1]).astype(np.int64)
        self.row = (point_y - corner[:, 1:]).astype(np.int64)
        width, height = size.astype(np.int64).T
        self.inside = (self.column >= 0) & (self.row >= 0)
        self.inside &= (self.column < width[:, None]) & (self.row < height[:, None])

    def similarity(self, distances: np.ndarray, kappa: np.ndarray | float) -> np.ndarray:
        """Return (D,) the mean likeness of points (D, P); 0 where no point lies in the detection."""
        if not distances.shape[1]:
            return np.zeros(len(distances))
        values = np.exp(-(distances**2) / (2 * np.asarray(kappa) ** 2)).mean(axis=1)
        return np.where(self.inside.any(axis=1), values, 0.0)


class ChartLikeness:
    """Compares charts: a point is as right as the vertex next to it is near to the true one.

    Args:
        surface: of the charts.
        data_mode: see `DataMode`.
    """

    def __init__(self, *, surface: ChartSurface, data_mode: DataMode = "IUV_DT") -> None:
        if data_mode not in get_args(DataMode):
            raise ValueError(f"data_mode must be one of {list(get_args(DataMode))}, got {data_mode!r}")
        self.surface = surface
        self.data_mode = data_mode

    def check(self, output: Any) -> None:
        """Raise TypeError if the output is of another kind."""
        if not isinstance(output, DensePoseChartPredictorOutput):
            raise TypeError(
                f"pred_densepose is a {type(output).__name__}, and the evaluator compares charts: give it "
                'evaluator_type="cse", embedder and meshes'
            )

    def look(self, output: Any, boxes: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return masks (H, W) and quantised charts (3, H, W), see `Likeness`."""
        small = [quantize_chart_result(r).labels_uv_uint8 for r in chart_results(output, boxes)]
        return [(each[0] > 0, each) for each in small]

    def gps(
        self, seen: Sequence[Tensor], boxes: Tensor, annotations: Sequence[Mapping[str, Any] | None]
    ) -> np.ndarray:
        """Return the geodesic point similarity (D, G), see `Likeness`."""
        found = np.zeros((len(boxes), len(annotations)))
        results = [each.numpy() for each in seen]
        for column, annotation in enumerate(annotations):
            if annotation is None or not len(boxes):
                continue
            i, u, v = (np.asarray(annotation[f"dp_{k}"], dtype=np.float64) for k in "IUV")
            points = _AtPoints(boxes, annotation)
            own = np.zeros((len(boxes), 3, len(i)))
            for d, result in enumerate(results):
                inside = points.inside[d]
                own[d, :, inside] = result[:, points.row[d, inside], points.column[d, inside]].T
            part, place = own[:, 0], own[:, 1:] / 255
            if "I_GT" in self.data_mode or self.data_mode == "IUV_GT":
                part = np.where(points.inside, i, 0)
            if self.data_mode == "IUV_GT":
                place = np.broadcast_to(np.stack((u, v)), place.shape)
            if self.data_mode.endswith("UV_0"):
                place = np.zeros_like(place)
            vertices = self.surface.closest_vertices(
                part.ravel().astype(np.int64), place[:, 0].ravel(), place[:, 1].ravel()
            )
            true = self.surface.closest_vertices(i.astype(np.int64), u, v)
            distances = self.surface.distances(np.tile(true, len(boxes)), vertices).reshape(part.shape)
            known = true > 0
            kappa = kappa_of_parts(i[known].astype(np.int64))
            found[:, column] = points.similarity(distances[:, known], kappa)
        return found


class EmbeddingLikeness:
    """Compares embeddings: a point is as right as the vertex with the nearest embedding is near to the true
    one, on the mesh of the annotation.

    Args:
        embedder: name of a mesh -> embeddings (V, D) of its vertices; the one of the model.
        meshes: name -> an object with ``read_geodists()``: distances (V, V).
        chunk: how many points are compared with the vertices at once.
    """

    def __init__(self, *, embedder: Any, meshes: Mapping[str, Any], chunk: int = 1000) -> None:
        self.embedder = embedder
        self.meshes = dict(meshes)
        self.chunk = chunk
        self._distances: dict[str, np.ndarray] = {}

    def check(self, output: Any) -> None:
        """Raise TypeError if the output is of another kind."""
        if getattr(output, "embedding", None) is None:
            raise TypeError(
                f"pred_densepose is a {type(output).__name__}, and the evaluator compares embeddings: give "
                'it evaluator_type="iuv" and surface'
            )

    def look(self, output: Any, boxes: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return masks (H, W) and embeddings (D, H, W), see `Likeness`."""
        seen = []
        for d, (_, _, w, h) in enumerate(make_int_box(boxes)):
            mask = resize_maps(output.coarse_segm[d], (h, w)).argmax(dim=0) > 0
            seen.append((mask, torch.cat((resize_maps(output.embedding[d], (h, w)), mask[None]))))
        return seen

    def gps(
        self, seen: Sequence[Tensor], boxes: Tensor, annotations: Sequence[Mapping[str, Any] | None]
    ) -> np.ndarray:
        """Return the geodesic point similarity (D, G), see `Likeness`.

        Raises:
            ValueError: an annotation without vertices, or of a mesh that is not among `meshes`.
        """
        found = np.zeros((len(boxes), len(annotations)))
        if not len(boxes):
            return found
        dims = len(seen[0]) - 1
        for column, annotation in enumerate(annotations):
            if annotation is None:
                continue
            name, distances = self._mesh(annotation)
            points = _AtPoints(boxes, annotation)
            values = torch.zeros(*points.inside.shape, dims + 1)
            for d, own in enumerate(seen):
                inside = points.inside[d]
                values[d, inside] = own[:, points.row[d, inside], points.column[d, inside]].t()
            there = values[..., dims] > 0
            rows = self.embedder(name).detach().cpu().float()
            vertices = nearest_rows(values[there][:, :dims], rows, self.chunk)
            true = np.broadcast_to(np.asarray(annotation["dp_vertex"], dtype=np.int64), there.shape)
            far = np.full(there.shape, np.inf)
            far[there.numpy()] = distances[true[there.numpy()], vertices.numpy()]
            found[:, column] = points.similarity(far, self._kappa(name, annotation))
        return found

    def _mesh(self, annotation: Mapping[str, Any]) -> tuple[str, np.ndarray]:
        name = annotation.get("ref_model")
        if name is None or annotation.get("dp_vertex") is None:
            raise ValueError(
                "an annotation has no dp_vertex and ref_model, which an evaluation of embeddings needs: use "
                "the annotation files with vertices (..._cse.json)"
            )
        if name not in self._distances:
            if name not in self.meshes:
                names = ", ".join(self.meshes) or "none"
                raise ValueError(
                    f"an annotation is on mesh {name!r}, which is not among those of the evaluator ({names})"
                )
            self._distances[name] = self.meshes[name].read_geodists().numpy()
        return name, self._distances[name]

    def _kappa(self, name: str, annotation: Mapping[str, Any]) -> np.ndarray | float:
        if name != "smpl_27554" or annotation.get("dp_I") is None:
            return KAPPA
        return kappa_of_parts(np.asarray(annotation["dp_I"]).astype(np.int64))


def object_mask(annotation: Mapping[str, Any], image_size: tuple[int, int]) -> Tensor:
    """Return the mask (H, W) bool of an annotated object: the union of its DensePose masks, else its
    segmentation; empty without either.

    Args:
        annotation: with "bbox" XYWH.
        image_size: (height, width).
    """
    height, width = image_size
    mask = torch.zeros(height, width, dtype=torch.bool)
    segm = DensePoseDataRelative.extract_segmentation_mask(annotation)
    segmentation = annotation.get("segmentation")
    if segm is not None:
        x, y, w, h = annotation["bbox"]
        # Half a pixel is not minded: corners lie on corners
        size = max(1, round(max(h, 1))), max(1, round(max(w, 1)))
        values = nnf.interpolate((segm > 0).double()[None, None], size, mode="bilinear", align_corners=True)
        own = values[0, 0] > 0.5
        left, top = int(x), int(y)
        x0, x1 = max(left, 0), min(int(x + w), width, left + size[1])
        y0, y1 = max(top, 0), min(int(y + h), height, top + size[0])
        if x0 < x1 and y0 < y1:
            mask[y0:y1, x0:x1] = own[y0 - top : y1 - top, x0 - left : x1 - left]
    elif isinstance(segmentation, Mapping):
        mask = torch.from_numpy(decode_rle(segmentation))
    elif segmentation:
        polygons = [np.asarray(polygon, dtype=np.float64) for polygon in segmentation]
        mask = torch.as_tensor(polygons_to_bitmask(polygons, height, width)).bool()
    return mask


def mask_overlaps(found: Tensor, true: Tensor, crowd: np.ndarray) -> np.ndarray:
    """Return the IoU (D, G) of masks (D, H, W) and (G, H, W) bool; with a crowd, the share of the detection
    that it covers.
    """
    first, second = found.flatten(1).double(), true.flatten(1).double()
    both = (first @ second.t()).numpy()
    areas, others = first.sum(dim=1).numpy()[:, None], second.sum(dim=1).numpy()
    return _ratio(both, np.where(crowd, areas, areas + others - both))


def box_overlaps(found: np.ndarray, true: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Return the IoU (D, G) of boxes (D, 4) and (G, 4) XYXY; crowds as in `mask_overlaps`."""
    low = np.maximum(found[:, None, :2], true[None, :, :2])
    high = np.minimum(found[:, None, 2:], true[None, :, 2:])
    both = (high - low).clip(min=0).prod(axis=2)
    areas, others = ((x[:, 2:] - x[:, :2]).prod(axis=1) for x in (found, true))
    return _ratio(both, np.where(crowd, areas[:, None], areas[:, None] + others - both))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1e-12), 0.0)
