"""What is seen at each pixel of a box: parts and their chart coordinates; small forms of it; masks."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as nnf
from PIL import Image
from torch import Tensor

from lazycfg.structures import BitMasks

from .chart_outputs import DensePoseChartPredictorOutput
from .predictor_output import PredictorOutput
from .symmetry import DensePoseTransformData

__all__ = [
    "DensePoseChartResult",
    "DensePoseChartResultCompressed",
    "DensePoseChartResultQuantized",
    "DensePoseChartResultWithConfidences",
    "IntBox",
    "box_masks",
    "chart_results",
    "compress_chart_result",
    "decompress_chart_result",
    "hflip_chart_output",
    "make_int_box",
    "output_to_masks",
    "paste_box_masks",
    "quantize_chart_result",
    "resize_maps",
]

IntBox = tuple[int, int, int, int]
"""Left, top, width and height in whole pixels; at least one pixel large."""

_CONFIDENCES = ("sigma_1", "sigma_2", "kappa_u", "kappa_v", "fine_segm_confidence", "coarse_segm_confidence")


@dataclass(kw_only=True)
class DensePoseChartResult:
    """What the pixels of one box show.

    Attributes:
        labels: (h, w) int64, parts 1 to 24; 0 for the background.
        uv: (2, h, w) float32, 0 to 1: the coordinates in the chart of the part; 0 on the background.
    """

    labels: Tensor
    uv: Tensor

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Return a copy that is moved to a device."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved = {k: v.to(*args, **kwargs) if isinstance(v, Tensor) else v for k, v in values.items()}
        return type(self)(**moved)


@dataclass(kw_only=True)
class DensePoseChartResultWithConfidences(DensePoseChartResult):
    """And how sure the predictor is at each pixel, (h, w) each; None for what it does not say. For the
    meaning see `DensePoseChartPredictorOutputWithConfidences`.
    """

    sigma_1: Tensor | None = None
    sigma_2: Tensor | None = None
    kappa_u: Tensor | None = None
    kappa_v: Tensor | None = None
    fine_segm_confidence: Tensor | None = None
    coarse_segm_confidence: Tensor | None = None


@dataclass(kw_only=True)
class DensePoseChartResultQuantized:
    """A result in 24 bits a pixel.

    Attributes:
        labels_uv_uint8: (3, h, w) uint8: part, 255 u, 255 v.
    """

    labels_uv_uint8: Tensor

    def to(self, *args: Any, **kwargs: Any) -> DensePoseChartResultQuantized:
        """Return a copy that is moved to a device."""
        return DensePoseChartResultQuantized(labels_uv_uint8=self.labels_uv_uint8.to(*args, **kwargs))


@dataclass(kw_only=True)
class DensePoseChartResultCompressed:
    """A quantised result as text.

    Attributes:
        shape_chw: 3, height and width.
        labels_uv_str: a PNG image in base64, whose channels are part, 255 u and 255 v.
    """

    shape_chw: tuple[int, int, int]
    labels_uv_str: str


def make_int_box(boxes: Tensor) -> list[IntBox]:
    """Return boxes (N, 4) XYXY in whole pixels, as all results of DensePose are given.

    Position and size are cut off after the point; the size is at least one pixel.
    """
    sizes = boxes[:, 2:] - boxes[:, :2]
    rows = torch.cat((boxes[:, :2].long(), sizes.long().clamp(min=1)), dim=1)
    return [(x, y, w, h) for x, y, w, h in rows.tolist()]


@torch.no_grad()
def chart_results(output: DensePoseChartPredictorOutput, boxes: Tensor) -> list[DensePoseChartResult]:
    """Return what the pixels of the boxes of N objects show.

    The maps are resized to the box; of the most likely part of a pixel its own coordinates and confidences
    count.

    Args:
        output: of the N objects.
        boxes: (N, 4) XYXY in pixels.

    Returns:
        with confidences if the output has any.

    Raises:
        ValueError: the numbers of objects differ.
    """
    given = [name for name in _CONFIDENCES if getattr(output, name, None) is not None]
    results: list[DensePoseChartResult] = []
    for row, (_, _, w, h) in enumerate(_placed(output, boxes)):
        labels = _labels(output, row, (h, w))
        chosen = {name: _of_part(getattr(output, name)[row], labels) for name in ("u", "v", *given)}
        u, v = (torch.where(labels > 0, chosen.pop(name), 0.0) for name in "uv")
        kind = DensePoseChartResultWithConfidences if given else DensePoseChartResult
        results.append(kind(labels=labels, uv=torch.stack((u, v)), **chosen))
    return results


def _placed(output: PredictorOutput, boxes: Tensor) -> list[IntBox]:
    if len(output) != len(boxes):
        raise ValueError(f"DensePose outputs of {len(output)} objects for {len(boxes)} boxes")
    return make_int_box(boxes)


def resize_maps(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps (C, H, W) of an object to (C, height, width) pixels of its box, in float32."""
    return nnf.interpolate(maps[None].float(), size, mode="bilinear", align_corners=False)[0]


def _labels(output: DensePoseChartPredictorOutput, row: int, size: tuple[int, int]) -> Tensor:
    # `max` is three times as fast as `argmax` over the first dimension
    fine = resize_maps(output.fine_segm[row], size).max(dim=0).indices
    return fine * (resize_maps(output.coarse_segm[row], size).max(dim=0).indices > 0)


def _of_part(maps: Tensor, labels: Tensor) -> Tensor:
    """Return (h, w) of maps (C, H, W) the value of each pixel's part; one channel is for all parts."""
    values = resize_maps(maps, (labels.shape[0], labels.shape[1]))
    return values[0] if len(values) == 1 else values.gather(0, labels[None])[0]


@torch.no_grad()
def box_masks(output: Any, boxes: Tensor) -> list[Tensor]:
    """Return where the object is in its box, (h, w) bool for each of N objects.

    Args:
        output: of N objects, with "coarse_segm" and perhaps "fine_segm".
        boxes: (N, 4) XYXY in pixels.
    """
    masks = []
    for row, (_, _, w, h) in enumerate(_placed(output, boxes)):
        if isinstance(output, DensePoseChartPredictorOutput):
            masks.append(_labels(output, row, (h, w)) > 0)
        else:
            masks.append(resize_maps(output.coarse_segm[row], (h, w)).argmax(dim=0) > 0)
    return masks


def output_to_masks(output: Any, boxes: Tensor, image_size: tuple[int, int]) -> BitMasks:
    """Return the masks of N objects in their image.

    Args:
        output, boxes: see `box_masks`.
        image_size: (height, width).
    """
    return paste_box_masks(box_masks(output, boxes), boxes, image_size)


def paste_box_masks(masks: Sequence[Tensor], boxes: Tensor, image_size: tuple[int, int]) -> BitMasks:
    """Return the masks of N objects in their image.

    Args:
        masks: (h, w) bool of each box, see `box_masks`.
        boxes: (N, 4) XYXY in pixels.
        image_size: (height, width).
    """
    height, width = image_size
    pasted = torch.zeros(len(boxes), height, width, dtype=torch.bool, device=boxes.device)
    for row, ((x, y, w, h), mask) in enumerate(zip(make_int_box(boxes), masks, strict=True)):
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
        if x0 < x1 and y0 < y1:
            pasted[row, y0:y1, x0:x1] = mask[y0 - y : y1 - y, x0 - x : x1 - x]
    return BitMasks(pasted)


def quantize_chart_result(result: DensePoseChartResult) -> DensePoseChartResultQuantized:
    """Return a result in bytes; coordinates are cut off after the point."""
    uv = (result.uv * 255).clamp(0, 255).to(torch.uint8)
    labels = result.labels.to(torch.uint8)
    return DensePoseChartResultQuantized(labels_uv_uint8=torch.cat((labels[None], uv)))


def compress_chart_result(result: DensePoseChartResultQuantized) -> DensePoseChartResultCompressed:
    """Return a quantised result as text, with nothing lost."""
    pixels = result.labels_uv_uint8
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).cpu().numpy())).save(file, format="PNG")
    _, height, width = pixels.shape
    text = base64.b64encode(file.getvalue()).decode("ascii")
    return DensePoseChartResultCompressed(shape_chw=(3, height, width), labels_uv_str=text)


def decompress_chart_result(result: DensePoseChartResultCompressed) -> DensePoseChartResultQuantized:
    """Return the quantised result that was compressed.

    Raises:
        ValueError: the text is no such image, or of another size than it should be.
    """
    try:
        with Image.open(io.BytesIO(base64.b64decode(result.labels_uv_str))) as file:
            pixels = np.array(file.convert("RGB"))
    except Exception as error:
        raise ValueError(f"a compressed DensePose result holds no PNG image: {error}") from error
    if pixels.shape[:2] != tuple(result.shape_chw[1:]):
        raise ValueError(
            f"a compressed DensePose result of {pixels.shape[:2]} pixels says it has {result.shape_chw[1:]}"
        )
    return DensePoseChartResultQuantized(labels_uv_uint8=torch.from_numpy(pixels).permute(2, 0, 1))


@torch.no_grad()
def hflip_chart_output(
    output: DensePoseChartPredictorOutput, symmetries: DensePoseTransformData
) -> DensePoseChartPredictorOutput:
    """Return what an output for a mirrored image says of the image: maps are mirrored, parts swap.

    Args:
        output: (N, C, H, W) maps; 24 parts.
        symmetries: of the charts.

    Raises:
        ValueError: another number of parts.
    """
    if output.fine_segm.shape[1] != 25:
        raise ValueError(
            f"mirroring is known for the background and 24 parts, got {output.fine_segm.shape[1]} channels"
        )
    swap = torch.tensor(symmetries.POINT_LABEL_SYMMETRIES, device=output.device)
    values: dict[str, Any] = {}
    for field in fields(output):
        maps = getattr(output, field.name)
        if maps is None or field.name in ("u", "v"):
            continue
        maps = maps.flip(3)
        if field.name == "coarse_segm":
            if maps.shape[1] > 2:
                maps = maps[:, list(symmetries.MASK_LABEL_SYMMETRIES)]
        elif maps.shape[1] > 1:
            maps = maps[:, swap]
        values[field.name] = maps
    # The charts of the parts as they were before they swapped
    u, v = (getattr(output, name).flip(3)[:, 1:].float() for name in "uv")
    row, column = ((255 * each.clamp(0, 1)).long() for each in (v, u))
    part = torch.arange(24, device=output.device).view(1, 24, 1, 1)
    for name in "uv":
        table = symmetries.uv_symmetries[f"{name.upper()}_transforms"].to(output.device)
        new = getattr(output, name).flip(3).clone()
        new[:, 1:] = table[part, row, column].to(new.dtype)
        values[name] = new[:, swap]
    return type(output)(**values)
