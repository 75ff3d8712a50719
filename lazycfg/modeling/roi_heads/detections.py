"""From class scores and boxes of regions to detections, for a whole batch at once."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lazycfg.layers import batched_nms
from lazycfg.structures import Instances

from ..padded import ImageSizes, pad_rows, split_instances, upload
from ..proposal_generator.proposal_utils import image_bounds

__all__ = ["Detections", "fast_rcnn_inference"]

# Candidates of an image that are looked at first: above any number that a trained detector has at a score
# threshold in use. More are fetched where these do not settle the result.
CANDIDATES = 1000
CANDIDATES_PER_DETECTION = 10


class Detections(list):
    """Per image `Instances`. What was needed to find them is on the host already, and stays at hand.

    Attributes:
        host_boxes: (N, 4) on the CPU, the ``pred_boxes`` of all images.
    """

    def __init__(self, instances: Sequence[Instances], host_boxes: Tensor) -> None:
        super().__init__(instances)
        self.host_boxes = host_boxes


@torch.compiler.disable
def fast_rcnn_inference(
    boxes: Sequence[Tensor],
    scores: Sequence[Tensor],
    image_shapes: ImageSizes,
    score_thresh: float,
    nms_thresh: float,
    topk_per_image: int,
    *,
    valid: Tensor | None = None,
) -> tuple[Detections, list[Tensor]]:
    """Boxes that score above the threshold, after NMS within each class; the best of each image.

    The candidates go to the host in one transfer, and NMS there finds all sizes: one wait for the device.

    Args:
        boxes: per image (R_i, K * 4) XYXY of each class, or (R_i, 4).
        scores: per image (R_i, K + 1), background last.
        image_shapes: (height, width) of each image; boxes are clipped to them.
        score_thresh: detections score more than this.
        nms_thresh: overlap above which the worse of two boxes of a class goes.
        topk_per_image: detections kept of each image; negative for all.
        valid: (B, R) bool, the rows that are no padding, if all images have R of them.

    Returns:
        Per image `Instances` with ``pred_boxes``, ``scores``, ``pred_classes``, best first; and per image the
        rows they come from.
    """
    counts = [len(s) for s in scores]
    if sum(counts) == 0:
        device = scores[0].device if len(scores) else torch.device("cpu")
        return make_detections(np.zeros((0, 7), np.float32), [0] * len(counts), image_shapes, device)
    all_boxes, own_valid = pad_rows(torch.cat(list(boxes)), counts)
    all_scores, _ = pad_rows(torch.cat(list(scores)), counts)
    valid = own_valid if valid is None else valid
    candidates = Candidates(all_boxes, all_scores, valid, image_shapes, score_thresh)
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


class Candidates:
    """The scored boxes of a batch, best first, on the device until fetched.

    Args:
        boxes: (B, R, K * 4) or (B, R, 4); scores: (B, R, K + 1); valid: (B, R) bool.
    """

    def __init__(
        self, boxes: Tensor, scores: Tensor, valid: Tensor, image_shapes: ImageSizes, score_thresh: float
    ) -> None:
        usable = valid & torch.isfinite(boxes).all(dim=-1) & torch.isfinite(scores).all(dim=-1)
        foreground = scores[..., :-1].float()
        self.num_classes = foreground.shape[-1]
        passed = (foreground > score_thresh) & usable.unsqueeze(-1)
        self.scores = torch.where(passed, foreground, -1.0).flatten(1)
        self.total = passed.flatten(1).sum(dim=1)
        self.boxes = boxes.float().unflatten(-1, (-1, 4))
        self.bounds = image_bounds(image_shapes, boxes.device)

    def fetch(self, limit: int) -> tuple[np.ndarray, list[int]]:
        """Of each image the `limit` best ones, on the host: a table (B, C, 7) of XYXY, score (-1 for none),
        class and row; and how many candidates each image has in all. Waits for the device."""
        batch = len(self.scores)
        score, index = self.scores.topk(min(limit, self.scores.shape[1]), dim=1)
        row = torch.div(index, self.num_classes, rounding_mode="floor")
        label = index - row * self.num_classes
        flat = row if self.boxes.shape[2] == 1 else index
        box = self.boxes.flatten(1, 2).gather(1, flat.unsqueeze(-1).expand(-1, -1, 4))
        box = torch.minimum(box.clamp(min=0), self.bounds[:, None])
        # float32 holds coordinates, labels, rows and counts alike, up to 2^24
        columns = [box, score.unsqueeze(-1), label.float().unsqueeze(-1), row.float().unsqueeze(-1)]
        table = torch.cat(columns, dim=-1).flatten(1)
        host = torch.cat((table, self.total.float().unsqueeze(-1)), dim=1).cpu().numpy()
        return host[:, :-1].reshape(batch, -1, 7), host[:, -1].astype(int).tolist()


def suppress(table: np.ndarray, nms_thresh: float, topk: int) -> tuple[np.ndarray, list[int]]:
    """NMS on the host.

    Args:
        table: (B, C, 7) as `Candidates.fetch` gives it.

    Returns:
        (N, 7) float32 of what is left, image by image and best first, and the rows of each image.
    """
    batch, per_image, _ = table.shape
    rows = table.reshape(-1, 7)
    image = np.repeat(np.arange(batch), per_image)
    there = rows[:, 4] >= 0
    rows, image = rows[there], image[there]
    if len(rows) == 0:
        return np.zeros((0, 7), np.float32), [0] * batch
    group = image * (int(rows[:, 5].max()) + 1) + rows[:, 5].astype(np.int64)
    host = torch.from_numpy(rows)
    keep = batched_nms(host[:, :4], host[:, 4], torch.from_numpy(group), nms_thresh).numpy()
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
) -> tuple[Detections, list[Tensor]]:
    """A host table (N, 7) as `Instances` of each image on the device, and the rows they are of."""
    host = torch.from_numpy(table)
    found = upload(host, device, torch.float32)
    fields = {
        "pred_boxes": found[:, :4].contiguous(),
        "scores": found[:, 4].contiguous(),
        "pred_classes": found[:, 5].long(),
    }
    instances = split_instances(image_shapes, counts, fields)
    return Detections(instances, host[:, :4]), list(found[:, 6].long().split(list(counts)))
