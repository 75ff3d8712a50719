"""The ground truth of a batch, padded to tensors."""

from collections.abc import Sequence

import torch

from lazycfg.structures import Instances

from .batched_instances import cat_field
from .padding import pad_all

__all__ = ["GroundTruth"]


class GroundTruth:
    """The ground truth boxes of a batch, padded.

    Attributes:
        counts: objects of each image, on the host.
        boxes: (B, M, 4) XYXY in pixels (or (B, M, 5) rotated).
        classes: (B, M) int64; all 0 where they are not asked for.
        valid: (B, M) bool.

    Of an image without objects only ``gt_boxes`` is asked for.

    Raises:
        ValueError: an image has no boxes, or objects without classes though `classes` is true.
    """

    def __init__(self, instances: Sequence[Instances], device: torch.device, *, classes: bool = True) -> None:
        self.counts = [len(x) for x in instances]
        for i, x in enumerate(instances):
            if not x.has("gt_boxes"):
                raise ValueError(
                    f"image {i} has no gt_boxes in its 'instances', which detectors are trained on "
                    f"(fields: {list(x.get_fields())})"
                )
        fields = [cat_field(instances, "gt_boxes").to(device, non_blocking=True)]
        annotated = [x for x in instances if len(x)]
        if classes and annotated:
            for x in annotated:
                if not x.has("gt_classes"):
                    names = list(x.get_fields())
                    raise ValueError(f"an image has objects without gt_classes (fields: {names})")
            fields.append(cat_field(annotated, "gt_classes").to(device, non_blocking=True))
        padded, self.valid = pad_all(fields, self.counts)
        self.boxes = padded[0]
        if len(fields) > 1:
            self.classes = padded[1]
        else:
            self.classes = torch.zeros(self.valid.shape, dtype=torch.int64, device=device)
