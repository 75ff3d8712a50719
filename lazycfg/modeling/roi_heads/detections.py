"""From class scores and boxes of regions to detections, for a whole batch at once."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lazycfg.layers.nms import batched_nms_host, batched_nms_rotated
from lazycfg.structures import Boxes, Instances, RotatedBoxes

from ..batched_instances import ImageSizes, split_instances
from ..padding import pad_rows
from ..proposal_generator.proposal_utils import clip_boxes, image_bounds
from ..transfer import upload

__all__ = ["fast_rcnn_inference"]

# Candidates of an image that are looked at first: above any number that a trained detector has at a score
# threshold in use. More are fetched where these do not settle the result.
CANDIDATES = 1000
CANDIDATES_PER_DETECTION = 10


@torch.compiler.disable
def fast_rcnn_inference(
    boxes: Sequence[Tensor],
    scores: Sequence[Tensor],
    image_shapes: ImageSizes,
    score_thresh: float,
    nms_thresh: float,
    topk_per_image: int,
    *,
    box_dim: int = 4,
) -> tuple[list[Instances], list[Tensor]]:
    """Select boxes above a score threshold, with NMS within each class, and the best of each image.

    The candidates go to the host in one transfer, and NMS there finds all sizes: one wait for the device.

    Args:
        boxes: per image (R_i, K * 4) XYXY of each class, or (R_i, 4).
        scores: per image (R_i, K + 1), background last.
        image_shapes: (height, width) of each image; boxes are clipped to them.
        score_thresh: detections score more than this.
        nms_thresh: overlap above which the worse of two boxes of a class goes.
        topk_per_image: detections kept of each image; negative for all.
        box_dim: 5 if the boxes are rotated ones.

    Returns:
        Per image `Instances` with ``pred_boxes``, ``scores``, ``pred_classes``, best first; and per image the
        rows they come from.

    Raises:
        ValueError: boxes and scores do not belong together.
    """
    counts = [len(s) for s in scores]
    check_predictions(boxes, scores, box_dim)
    if sum(counts) == 0:
        device = scores[0].device if len(scores) else torch.device("cpu")
        none = np.zeros((0, box_dim + 3), np.float32)
        return make_detections(none, [0] * len(counts), image_shapes, device)
    all_boxes, valid = pad_rows(torch.cat(list(boxes)), counts)
    all_scores, _ = pad_rows(torch.cat(list(scores)), counts)
    candidates = Candidates(all_boxes, all_scores, valid, image_shapes, score_thresh, box_dim)
    limit = max(CANDIDATES, CANDIDATES_PER_DETECTION * topk_per_image)
    while True:
        table, totals = candidates.fetch(limit)
        kept, kept_counts = suppress(table, nms_thresh, topk_per_image)
        if all(
            total <= limit or 0 <= topk_per_image <= found
            for total, found in zip(totals, kept_counts, strict=True)
        ):
            break
        limit = max(totals) if topk_per_image < 0 else limit * 8
    return make_detections(kept, kept_counts, image_shapes, all_boxes.device)


def check_predictions(boxes: Sequence[Tensor], scores: Sequence[Tensor], box_dim: int) -> None:
    """Check that boxes (R, K * box_dim) or (R, box_dim) and scores (R, K + 1) of each image fit each other.

    Raises:
        ValueError: they do not.
    """
    if len(boxes) != len(scores):
        raise ValueError(f"predicted boxes of {len(boxes)} images, but scores of {len(scores)}")
    for i, (b, s) in enumerate(zip(boxes, scores, strict=True)):
        if len(b) != len(s):
            raise ValueError(f"image {i}: {len(b)} rows of predicted boxes, but {len(s)} rows of scores")
        classes = s.shape[1] - 1
        if b.shape[1] not in (box_dim, classes * box_dim):
            raise ValueError(
                f"image {i}: scores of {classes} classes and the background go with {classes * box_dim} "
                f"numbers for boxes in each row (or {box_dim} for one box), got {b.shape[1]}"
            )


class Candidates:
    """The scored boxes of a batch, best first, on the device until fetched.

    Args:
        boxes: (B, R, K * box_dim) or (B, R, box_dim); scores: (B, R, K + 1); valid: (B, R) bool.
    """

    def __init__(
        self,
        boxes: Tensor,
        scores: Tensor,
        valid: Tensor,
        image_shapes: ImageSizes,
        score_thresh: float,
        box_dim: int,
    ) -> None:
        usable = valid & torch.isfinite(boxes).all(dim=-1) & torch.isfinite(scores).all(dim=-1)
        foreground = scores[..., :-1].float()
        self.num_classes = foreground.shape[-1]
        passed = (foreground > score_thresh) & usable.unsqueeze(-1)
        self.scores = torch.where(passed, foreground, -1.0).flatten(1)
        self.total = passed.flatten(1).sum(dim=1)
        self.boxes = boxes.float().unflatten(-1, (-1, box_dim))
        self.bounds = image_bounds(image_shapes, boxes.device)

    def fetch(self, limit: int) -> tuple[np.ndarray, list[int]]:
        """Return the table of the `limit` best ones, and how many candidates each image has in all, on the
        host. Waits for the device.
        """
        return fetch_table(self.table(limit), self.total)

    def table(self, limit: int) -> Tensor:
        """Return the `limit` best ones of each image: (B, C, box_dim + 3) of the box, score (-1 for none),
        class and row.
        """
        score, index = self.scores.topk(min(limit, self.scores.shape[1]), dim=1)
        row = torch.div(index, self.num_classes, rounding_mode="floor")
        label = index - row * self.num_classes
        flat = row if self.boxes.shape[2] == 1 else index
        box_dim = self.boxes.shape[-1]
        box = self.boxes.flatten(1, 2).gather(1, flat.unsqueeze(-1).expand(-1, -1, box_dim))
        box = clip_boxes(box, self.bounds)
        # float32 holds coordinates, labels, rows and counts alike, up to 2^24
        columns = [box, score.unsqueeze(-1), label.float().unsqueeze(-1), row.float().unsqueeze(-1)]
        return torch.cat(columns, dim=-1)


def fetch_table(table: Tensor, total: Tensor) -> tuple[np.ndarray, list[int]]:
    """Copy a table (B, C, numbers) and the candidates (B,) of each image to the host in one transfer."""
    together = torch.cat((table.flatten(1), total.float().unsqueeze(-1)), dim=1)
    host = together.detach().cpu().numpy()
    return host[:, :-1].reshape(table.shape), host[:, -1].astype(int).tolist()


def suppress(table: np.ndarray, nms_thresh: float, topk: int) -> tuple[np.ndarray, list[int]]:
    """NMS on the host.

    Args:
        table: (B, C, box_dim + 3) as `Candidates.fetch` gives it.

    Returns:
        (N, box_dim + 3) float32 of what is left, image by image and best first, and the rows of each image.
    """
    batch, per_image, width = table.shape
    rows = table.reshape(-1, width)
    image = np.repeat(np.arange(batch), per_image)
    there = rows[:, -3] >= 0
    rows, image = rows[there], image[there]
    if len(rows) == 0:
        return np.zeros((0, width), np.float32), [0] * batch
    boxes, scores, labels = rows[:, :-3], rows[:, -3], rows[:, -2].astype(np.int64)
    group = image * (int(labels.max()) + 1) + labels
    if boxes.shape[1] == 5:
        host = [torch.from_numpy(values) for values in (boxes, scores, group)]
        keep = batched_nms_rotated(*host, nms_thresh).numpy()
    else:
        keep = batched_nms_host(boxes, scores, group, nms_thresh)
    # By image, the order of NMS within it
    keep = keep[np.argsort(image[keep], kind="stable")]
    counts = np.bincount(image[keep], minlength=batch)
    if topk >= 0:
        position = np.arange(len(keep)) - np.repeat(counts.cumsum() - counts, counts)
        keep = keep[position < topk]
        counts = np.minimum(counts, topk)
    return rows[keep], counts.tolist()


def make_detections(
    table: np.ndarray, counts: Sequence[int], image_shapes: ImageSizes, device: torch.device
) -> tuple[list[Instances], list[Tensor]]:
    """Make `Instances` of each image on the device from a host table (N, box_dim + 3), and return the rows
    they come from.
    """
    host = torch.from_numpy(table)
    found = upload(host, device, torch.float32)
    fields = {
        "pred_boxes": found[:, :-3].contiguous(),
        "scores": found[:, -3].contiguous(),
        "pred_classes": found[:, -2].long(),
    }
    box_class = RotatedBoxes if table.shape[1] == 8 else Boxes
    instances = split_instances(image_shapes, counts, fields, box_class)
    return instances, list(found[:, -1].long().split(list(counts)))
