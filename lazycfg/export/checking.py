"""Whether an exported model says what the model says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.modeling import GeneralizedRCNN
from lazycfg.structures import Instances
from lazycfg.structures.boxes import pairwise_iou

from .errors import ExportError, NothingFoundError
from .graph import Limits

__all__ = ["Bounds", "Comparison", "compare", "eager_results", "random_examples"]


FIELDS = {
    "pred_boxes": "boxes",
    "scores": "scores",
    "pred_classes": "classes",
    "pred_masks": "masks",
    "pred_keypoint_heatmaps": "heatmaps",
}
"""The outputs that have the fields of the model's result."""


@dataclass(frozen=True)
class Bounds:
    """How far an exported model may be from the model.

    Attributes:
        boxes: in pixels.
        scores: of a class, from 0 to 1.
        masks: of the probability of a pixel.
        heatmaps: of the logit of a keypoint's place.
        ties: share of the detections that NMS may choose otherwise, between boxes whose scores are within
            the bound of each other.
    """

    boxes: float = 0.05
    scores: float = 1e-3
    masks: float = 1e-2
    heatmaps: float = 0.05
    ties: float = 0.05


@dataclass
class Comparison:
    """What came out of running both.

    Attributes:
        images: that both were given.
        detections: that were compared.
        largest: the largest difference of each kind of number.
        at_the_border: detections of one of them only, whose score is within the bound of the score that
            decided whether they are there.
        ties: detections of one of them only, because NMS chose otherwise between overlapping boxes whose
            scores are within the bound of each other.
    """

    images: int = 0
    detections: int = 0
    largest: dict[str, float] = field(default_factory=dict)
    at_the_border: int = 0
    ties: int = 0

    def __str__(self) -> str:
        parts = [f"{name} {value:.2g}{' px' * (name == 'boxes')}" for name, value in self.largest.items()]
        text = f"{self.detections:,} detections in {self.images} images; largest differences: "
        text += ", ".join(parts)
        if self.at_the_border:
            text += f"; {self.at_the_border} at the border of the score"
        return text + (f"; {self.ties} chosen otherwise between equal scores" if self.ties else "")


@torch.no_grad()
def eager_results(model: Any, batches: Sequence[Tensor]) -> list[list[Instances]]:
    """Return what the model finds in batches of images (N, C, H, W), masks relative to boxes.

    Raises:
        NothingFoundError: it finds nothing at all, so that there would be nothing to compare.
        ExportError: it predicts something else besides.
    """
    results = []
    for batch in batches:
        inputs = [{"image": image} for image in batch]
        if isinstance(model, GeneralizedRCNN):
            sizes = [(batch.shape[-2], batch.shape[-1])] * len(batch)
            found = model.inference(inputs, do_postprocess=False)
            outputs = model._postprocess(found, inputs, sizes, paste_masks=False)
        else:
            outputs = model(inputs)
        results.append([x["instances"] for x in outputs])
        for instances in results[-1]:
            if instances.has("pred_keypoint_heatmaps"):
                instances.remove("pred_keypoints")  # read from the heatmaps
        more = {name for x in results[-1] for name in x.get_fields()} - FIELDS.keys()
        if more:
            raise ExportError(f"the model predicts {', '.join(sorted(more))}, too, which is not exported")
    if not any(len(x) for batch in results for x in batch):
        number = sum(map(len, batches))
        raise NothingFoundError(
            f"the model finds nothing in the {number} example images, so that the exported one cannot be "
            "compared with it: give images with objects, examples=[...]. (A model that is not trained finds "
            "nothing unless its score threshold is 0.)"
        )
    return results


def random_examples(
    size: tuple[int, int], mean: Tensor, std: Tensor, batch: int, is_rgb: bool, number: int = 2
) -> list[Tensor]:
    """Return batches of images (N, C, height, width) with blobs of several sizes, always the same.

    Args:
        size: (height, width).
        mean, std: (C, 1, 1), of the pixels that the model takes.
        batch: images of a batch.
        is_rgb: whether values are from 0 to 255.
        number: of batches.
    """
    generator = torch.Generator().manual_seed(0)
    mean, std = mean.float().cpu(), std.float().cpu()
    out = []
    for _ in range(number):
        image = torch.zeros((batch, len(mean), *size))
        for side in (3, 8, 24, 96):
            noise = torch.randn(
                (batch, len(mean), min(side, size[0]), min(side, size[1])), generator=generator
            )
            image += F.interpolate(noise, size=size, mode="bilinear", align_corners=False)
        image = mean + std * image
        out.append(image.round().clamp(0, 255) if is_rgb else image)
    return out


def compare(
    run: Callable[[Tensor], Mapping[str, Tensor]],
    batches: Sequence[Tensor],
    expected: Sequence[Sequence[Instances]],
    limits: Limits,
    bounds: Bounds,
) -> Comparison:
    """Compare an exported model with what the model finds.

    Args:
        run: the exported model.
        batches: images (N, C, H, W).
        expected: what the model finds in each image of each batch.
        limits: of the model.
        bounds: of the differences.

    Raises:
        ExportError: they differ by more, or find other objects.
    """
    result, alone = Comparison(), 0
    for batch, of_images in zip(batches, expected, strict=True):
        outputs = run(batch.float())
        if bool(outputs["truncated"].any()):
            raise ExportError(
                "more boxes score above the threshold than go into NMS, so that detections are missing: "
                "raise candidates, or the model's score threshold"
            )
        for i, instances in enumerate(of_images):
            count = int(outputs["count"][i])
            found = {name: x[i, :count].cpu() for name, x in outputs.items() if x.dim() > 1}
            alone += _compare_image(result, found, _tensors(instances), limits, bounds)
            result.images += 1
    wrong = [name for name, value in result.largest.items() if not value <= getattr(bounds, name)]
    what = []
    if alone:
        same = f"class, box to {bounds.boxes:g} px, score to {bounds.scores:g}"
        what.append(f"{alone} detections are of one of them only ({same})")
    if wrong:
        what.append("allowed are " + ", ".join(f"{name} {getattr(bounds, name):g}" for name in wrong))
    if result.ties > bounds.ties * result.detections:
        what.append("so many ties are no ties")
    if what:
        raise ExportError(f"the exported model disagrees with the model: {'; '.join([str(result), *what])}")
    return result


def _tensors(instances: Instances) -> dict[str, Tensor]:
    """Return the fields of the model's result by the names of the graph's outputs."""
    fields = {FIELDS[name]: value for name, value in instances.get_fields().items()}
    return {name: getattr(value, "tensor", value).cpu() for name, value in fields.items()}


def _compare_image(
    result: Comparison,
    found: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    limits: Limits,
    bounds: Bounds,
) -> int:
    """Add the differences of one image to the result; return how many detections are of one of them only."""
    if set(found) != set(expected):
        raise ExportError(f"the exported model gives {sorted(found)}, the model {sorted(expected)}")
    pairs = _pair(found, expected, bounds)
    result.detections += len(pairs[0])
    for name in found:
        if name != "classes" and len(pairs[0]):
            mine, theirs = (x[name][rows].float() for x, rows in zip((found, expected), pairs, strict=True))
            result.largest[name] = max(result.largest.get(name, 0.0), float((mine - theirs).abs().max()))
    rest = [_left_over(x, rows, limits, bounds) for x, rows in zip((found, expected), pairs, strict=True)]
    result.at_the_border += sum(border for _, border in rest)
    (mine_only, _), (theirs_only, _) = rest
    ties = _ties(mine_only, theirs_only, limits.nms_thresh, bounds.scores)
    result.ties += ties
    return len(mine_only["scores"]) + len(theirs_only["scores"]) - ties


def _left_over(
    detections: Mapping[str, Tensor], rows: Tensor, limits: Limits, bounds: Bounds
) -> tuple[dict[str, Tensor], int]:
    """Return the detections that are not among the rows, and how many besides are at the border."""
    scores = detections["scores"]
    alone = torch.ones(len(scores), dtype=torch.bool)
    alone[rows] = False
    full = len(scores) >= limits.max_detections
    lowest = max(limits.score_thresh, float(scores.min())) if full else limits.score_thresh
    border = alone & (scores <= lowest + bounds.scores)
    alone &= ~border
    return {name: detections[name][alone] for name in ("boxes", "scores", "classes")}, int(border.sum())


def _ties(mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor], nms_thresh: float, nearly: float) -> int:
    """Return how many of the detections that have no partner are explained by another order in NMS: two
    overlapping boxes had nearly equal scores, and what else they overlap comes and goes with them.
    """
    if not len(mine["scores"]) or not len(theirs["scores"]):
        return 0
    overlap = pairwise_iou(mine["boxes"], theirs["boxes"]) > nms_thresh
    overlap &= mine["classes"][:, None] == theirs["classes"]
    tied = overlap & ((mine["scores"][:, None] - theirs["scores"]).abs() <= nearly)
    of_mine, of_theirs = (overlap & tied.any(dim=0)).any(dim=1), (overlap.T & tied.any(dim=1)).any(dim=1)
    return int(of_mine.sum() + of_theirs.sum())


def _pair(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], bounds: Bounds
) -> tuple[Tensor, Tensor]:
    """Return the rows of both that are the same object: (P,) and (P,). Those of nearly equal scores may come
    in another order.
    """
    if not len(found["scores"]) or not len(expected["scores"]):
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    boxes = (found["boxes"][:, None] - expected["boxes"]).abs().amax(dim=-1) / bounds.boxes
    scores = (found["scores"][:, None] - expected["scores"]).abs() / bounds.scores
    cost = torch.maximum(boxes, scores)
    cost = cost.masked_fill(found["classes"][:, None] != expected["classes"], float("inf"))
    nearest = cost.argmin(dim=1)
    rows = torch.arange(len(nearest))
    same = (cost.argmin(dim=0)[nearest] == rows) & (cost[rows, nearest] <= 1)
    return rows[same], nearest[same]
