"""Draw what DensePose models see: parts, chart coordinates and their contours, vertices, textures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from lazycfg.structures import Instances
from lazycfg.visualization import Canvas, as_rgb

from .cse import ClosestVertices, Embedder, find_closest_vertices
from .structures import DensePoseChartPredictorOutput, IntBox, chart_results, make_int_box, resize_maps

__all__ = [
    "Kind",
    "draw_densepose",
    "jet",
    "paint_output",
    "paint_texture",
    "paint_vertices",
    "parula",
    "vertex_colors",
    "vertices_of",
]

Kind = Literal["dp_segm", "dp_u", "dp_v", "dp_contour", "dp_iuv_texture", "dp_vertex", "bbox"]
"""What is drawn: parts, the coordinates u and v, their contours, a texture, vertices, boxes with scores."""

CHARTS = ("dp_segm", "dp_u", "dp_v", "dp_contour", "dp_iuv_texture")
ALPHA = 0.7
LEVELS = 10
BOX_COLOR = (46, 220, 46)

# Eight colours of a map from blue over green to yellow
_PARULA = (
    (62, 38, 168), (72, 82, 244), (46, 135, 247), (18, 177, 214),
    (55, 200, 151), (171, 199, 57), (254, 195, 56), (249, 251, 21),
)  # fmt: skip


def parula(values: np.ndarray) -> np.ndarray:
    """Return the colours (..., 3) uint8 of values from 0 to 1: from blue over green to yellow."""
    places = np.linspace(0, 1, len(_PARULA))
    channels = [np.interp(values, places, column) for column in zip(*_PARULA, strict=True)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def jet(values: np.ndarray) -> np.ndarray:
    """Return the colours (..., 3) uint8 of values from 0 to 1: from blue over green to red."""
    channels = [1.5 - np.abs(4 * np.asarray(values) - centre) for centre in (3, 2, 1)]
    return (np.stack(channels, axis=-1).clip(0, 1) * 255).round().astype(np.uint8)


def paint_output(
    canvas: Canvas, output: Any, boxes: Tensor, kind: Kind = "dp_segm", *, atlas: np.ndarray | None = None
) -> None:
    """Paint what a predictor says of N objects, at the resolution of the canvas.

    Embeddings are shown by their first three numbers, whatever the kind: near places of a surface have like
    colours.

    Args:
        canvas: with the image.
        output: of the predictor, of charts or embeddings.
        boxes: (N, 4) XYXY in pixels of the image.
        kind: for charts, which of "dp_segm", "dp_u", "dp_v", "dp_contour" and "dp_iuv_texture".
        atlas: for "dp_iuv_texture", see `paint_texture`.

    Raises:
        ValueError: another kind, or a texture without an atlas.
    """
    if kind not in CHARTS:
        raise ValueError(f"kind must be one of {list(CHARTS)}, got {kind!r}")
    if not len(boxes):
        return
    boxes = boxes.to(output.device) * canvas.scale
    if not isinstance(output, DensePoseChartPredictorOutput):
        _paint_embeddings(canvas, output, boxes)
        return
    for result, box in zip(chart_results(output, boxes), make_int_box(boxes), strict=True):
        labels, uv = result.labels.cpu().numpy(), result.uv.cpu().numpy()
        if kind == "dp_iuv_texture":
            if atlas is None:
                raise ValueError('"dp_iuv_texture" needs an atlas')
            paint_texture(canvas, labels, uv, box, atlas)
            continue
        weights = ALPHA * (labels > 0)
        if kind == "dp_contour":
            colors, weights = _contours(labels, uv)
        else:
            colors = parula({"dp_segm": labels / 24, "dp_u": uv[0], "dp_v": uv[1]}[kind])
        _lay(canvas, colors, weights, box)


def _lay(canvas: Canvas, colors: np.ndarray, weights: np.ndarray, box: IntBox) -> None:
    canvas.paint(colors, weights, x0=box[0], y0=box[1])


def _contours(labels: np.ndarray, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lines where u or v passes a level, in its colour, and white ones between parts."""
    colors = np.full((*labels.shape, 3), 255, dtype=np.uint8)
    lines = np.zeros(labels.shape, dtype=bool)
    for values in uv:
        level = np.floor(values.clip(0, 1 - 1e-6) * LEVELS)
        edge = _edges(level) & (labels > 0)
        colors[edge] = parula(values[edge])
        lines |= edge
    borders = _edges(labels)
    colors[borders] = 255
    return colors, (lines | borders).astype(np.float64)


def _edges(values: np.ndarray) -> np.ndarray:
    """Return which pixels differ from the one to the right or below."""
    edges = np.zeros(values.shape, dtype=bool)
    edges[:, :-1] |= values[:, 1:] != values[:, :-1]
    edges[:-1] |= values[1:] != values[:-1]
    return edges


def paint_texture(canvas: Canvas, labels: np.ndarray, uv: np.ndarray, box: IntBox, atlas: np.ndarray) -> None:
    """Paint a texture on one object.

    Args:
        labels: (h, w) parts, in pixels of the canvas. uv: (2, h, w).
        box: where they lie.
        atlas: (6 N, 4 N, 3 or 4) uint8: part 6 i + j + 1 is in row j and column i of squares of N pixels; u
            goes to the right and v up. A fourth channel says how strongly a place is painted; without it
            black places are left out.

    Raises:
        ValueError: the atlas has another shape.
    """
    atlas = np.asarray(atlas)
    side = atlas.shape[0] // 6
    if atlas.ndim != 3 or side < 1 or atlas.shape[:2] != (6 * side, 4 * side) or atlas.shape[2] not in (3, 4):
        raise ValueError(
            f"an atlas of textures must be (6 N, 4 N, 3 or 4), 6 rows of 4 squares, got {atlas.shape}"
        )
    column, row = np.divmod(np.maximum(labels - 1, 0), 6)
    u, v = uv.clip(0, 1)
    x = column * side + (u * (side - 1)).astype(int)
    y = row * side + ((1 - v) * (side - 1)).astype(int)
    pixels = atlas[y, x]
    strength = pixels[..., 3] / 255 if atlas.shape[2] == 4 else (pixels.sum(axis=2) > 0).astype(np.float64)
    _lay(canvas, pixels[..., :3], strength * (labels > 0), box)


def _paint_embeddings(canvas: Canvas, output: Any, boxes: Tensor) -> None:
    for row, box in enumerate(make_int_box(boxes)):
        size = (box[3], box[2])
        maps = (output.embedding[row], output.coarse_segm[row])
        embedding, segm = (resize_maps(m, size) for m in maps)
        colors = nnf.normalize(embedding, dim=0)[:3]
        colors = torch.cat((colors, colors.new_zeros(3 - len(colors), *size)))
        colors = ((colors + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0)
        weights = ALPHA * (segm.argmax(dim=0) > 0).float()
        _lay(canvas, colors.cpu().numpy(), weights.cpu().numpy(), box)


def vertex_colors(vertices: Tensor) -> np.ndarray:
    """Return a colour (V, 3) uint8 for each vertex (V, 3) of a mesh: its place gives red, green and blue."""
    low, high = vertices.min(dim=0).values, vertices.max(dim=0).values
    values = (vertices - low) / (high - low).clamp(min=1e-8)
    return (values * 255).round().to(torch.uint8).cpu().numpy()


def paint_vertices(canvas: Canvas, vertices: Tensor, box: IntBox, colors: np.ndarray | None = None) -> None:
    """Paint the vertices that the pixels of one object show.

    Args:
        vertices: (h, w) int64, in pixels of the canvas; -1 is the background.
        box: where they lie.
        colors: (V, 3) uint8, of each vertex; None: from blue to red by their numbers.
    """
    numbers = vertices.cpu().numpy()
    if colors is None:
        colors = jet(np.linspace(0, 1, int(numbers.max(initial=0)) + 1))
    _lay(canvas, colors[numbers.clip(0)], ALPHA * (numbers >= 0), box)


def vertices_of(instances: Instances, boxes: Tensor, embedder: Embedder) -> list[ClosestVertices]:
    """Return the vertices that the pixels of N objects show, on the mesh of the class of each.

    Args:
        instances: with ``pred_classes`` and ``pred_densepose``, embeddings.
        boxes: (N, 4) XYXY in the pixels that are asked about.
        embedder: of the model.
    """
    names = embedder.mesh_names_of(instances.pred_classes.tolist())
    device = next(embedder.parameters()).device
    return find_closest_vertices(instances.pred_densepose.to(device), boxes.to(device), names, embedder)


def draw_densepose(
    image: Any,
    instances: Instances,
    kinds: Sequence[Kind] = ("dp_contour", "bbox"),
    *,
    score_threshold: float = 0.5,
    scale: float | None = None,
    grey: bool = True,
    atlas: np.ndarray | None = None,
    embedder: Embedder | None = None,
    colors_of_meshes: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Draw what a model found in an image.

    Args:
        image: RGB, see `as_rgb`.
        instances: with ``pred_boxes``, ``scores`` and ``pred_densepose``, in pixels of the image.
        kinds: what to draw, one over the other, see `Kind`.
        score_threshold: leave out objects below it.
        scale: size of the result relative to the image; None enlarges small images.
        grey: take the colours out of the image.
        atlas: for "dp_iuv_texture", see `paint_texture`.
        embedder: for "dp_vertex": of the vertices; the one of the model.
        colors_of_meshes: for "dp_vertex": the colours of the vertices of meshes, see `paint_vertices`.

    Returns:
        (H * scale, W * scale, 3) uint8, RGB.

    Raises:
        ValueError: an unknown kind, or instances without what it needs.
    """
    unknown = [kind for kind in kinds if kind not in get_args(Kind)]
    if unknown or not kinds:
        raise ValueError(
            f"kinds must be any of {', '.join(get_args(Kind))}, got {', '.join(unknown) or 'none'}"
        )
    pixels = as_rgb(image)
    if grey:
        light = pixels.astype(np.float64) @ (0.299, 0.587, 0.114)
        pixels = np.repeat(light.round().astype(np.uint8)[..., None], 3, axis=2)
    canvas = Canvas(pixels, scale=scale)
    found = instances.to("cpu")
    found = found[found.scores >= score_threshold]
    found = found[found.scores.argsort()]  # the best above the others
    if not len(found):
        return canvas.image
    if not found.has("pred_densepose"):
        raise ValueError("the instances have no pred_densepose: is the model a DensePose R-CNN?")
    output, boxes = found.pred_densepose, found.pred_boxes.tensor.float()
    for kind in kinds:
        if kind == "bbox":
            for box, score in zip(boxes.tolist(), found.scores.tolist(), strict=True):
                canvas.box(box, BOX_COLOR)
                canvas.label(f"{100 * score:.0f}%", box, BOX_COLOR)
        elif kind == "dp_vertex":
            if embedder is None or getattr(output, "embedding", None) is None:
                raise ValueError(
                    f'"dp_vertex" is for embeddings, and needs an embedder; the model gives '
                    f"{type(output).__name__}"
                )
            for seen in vertices_of(found, boxes * canvas.scale, embedder):
                paint_vertices(canvas, seen.vertices, seen.box, (colors_of_meshes or {}).get(seen.mesh_name))
        else:
            if not isinstance(output, DensePoseChartPredictorOutput):
                raise ValueError(
                    f'"{kind}" is for charts, and the model gives {type(output).__name__}: use "dp_vertex"'
                )
            paint_output(canvas, output, boxes, kind, atlas=atlas)
    return canvas.image
