"""What a mapper gives for an image against what the model takes: form, pixels, boxes and labels."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lazycfg.structures import Instances
from lazycfg.utils import printable

from ..labels import LabelCheck
from .findings import Findings

__all__ = ["SampleCheck"]

_COLOURS = 3
_MOST_CHANNELS = 512  # more are the rows of an image whose channels come first


class SampleCheck:
    """Looks at samples as the model will get them; each kind of fault is told once.

    Args:
        model: its parts are asked.
        split: "train" or "test", for the messages.
        found: takes in what is wrong.
    """

    def __init__(self, model: nn.Module, split: str, found: Findings) -> None:
        self.labels = LabelCheck(model)
        mean = getattr(model, "pixel_mean", None)
        self.mean = float(mean.max()) if isinstance(mean, Tensor) and not mean.is_meta else 0.0
        # Models without it may take anything
        self.channels = mean.numel() if isinstance(mean, Tensor) else None
        self.split = split
        self.where = f"dataloader.{split}.mapper"
        self.found = found
        self.told: set[str] = set()

    def look(self, sample: Any, record: Any = None) -> None:
        """Look at one sample, a dict with "image" and, for training, "instances".

        Args:
            sample: what the mapper gives.
            record: what the mapper was given, if that is known.
        """
        if not isinstance(sample, Mapping):
            if self.channels is not None:
                self._tell("type", f"it gives a {type(sample).__name__}, expected a dict with 'image'")
            return
        name = printable(sample.get("file_name", sample.get("image_id")))
        image = sample.get("image")
        if self.channels is not None:
            self._image(image, name)
        # Classes of the test data have numbers of their own: they are matched by name
        if self.split == "train":
            if (problem := self.labels.problem(sample)) is not None:
                self._tell("labels", f"it gives for image {name}: {problem}")
            if isinstance(sample.get("instances"), Instances):
                self._instances(sample["instances"], image, name)
        elif isinstance(record, Mapping):
            self._size(sample, record, name)

    def _image(self, image: Any, name: str) -> None:
        expected = f"expected a tensor ({self.channels}, height, width)"
        if not isinstance(image, Tensor):
            given = "no 'image'" if image is None else f"an 'image' of type {type(image).__name__}"
            self._tell("image", f"it gives {given} for image {name}, {expected}")
        elif image.dim() != 3 or image.shape[0] != self.channels:
            given = image.shape[0] if image.dim() == 3 else 0
            remedy = ""
            if 1 <= given <= _MOST_CHANNELS and self.channels is not None:
                remedy = f"'model.pixel_mean=[...]' 'model.pixel_std=[...]', {given} numbers each"
                if given not in (1, 3):
                    remedy += f", or {self.where}.image_format=BGR if the images are of colours"
                elif self.channels > _COLOURS:
                    remedy = f"{self.where}.image_format=raw"
            self._tell(
                "image", f"it gives a tensor {tuple(image.shape)} for image {name}, {expected}", remedy
            )
        elif self.mean > 1 and _is_scaled(image):
            self._tell(
                "scale",
                f"it gives images of 0 to {float(image.max()):.3g}, and model.pixel_mean is up to "
                f"{self.mean:.5g}: images are to be of 0 to 255, as the model scales them itself",
            )

    def _size(self, sample: Mapping[str, Any], record: Mapping[str, Any], name: str) -> None:
        """Compare the size in which detections are wanted with that of the ground truth."""
        wanted, truth = ((each.get("height"), each.get("width")) for each in (sample, record))
        if None not in truth and wanted != truth:
            self._tell(
                "size",
                f"it gives height and width {wanted} for image {name}, and the record has {truth}: "
                "detections would be in other pixels than the ground truth",
            )

    def _instances(self, instances: Instances, image: Any, name: str) -> None:
        if (
            "image" not in self.told
            and isinstance(image, Tensor)
            and instances.image_size != image.shape[-2:]
        ):
            self._tell(
                "instances",
                f"the instances of image {name} are of an image of {instances.image_size} (height, width), "
                f"and its image is of {tuple(image.shape[-2:])}",
            )
        if instances.has("gt_classes") and instances.gt_classes.is_floating_point():
            self._tell(
                "classes", f"gt_classes of image {name} are {instances.gt_classes.dtype}, expected int64"
            )
        boxes = getattr(instances.get("gt_boxes"), "tensor", None) if instances.has("gt_boxes") else None
        if isinstance(boxes, Tensor) and len(boxes):
            problem = _boxes_problem(boxes.detach().cpu(), instances.image_size)
            if problem is not None:
                self._tell("boxes", f"gt_boxes of image {name}: {problem}")

    def _tell(self, kind: str, text: str, remedy: str = "") -> None:
        if kind not in self.told:
            self.told.add(kind)
            self.found.add(self.where, text, remedy)


def _boxes_problem(boxes: Tensor, size: tuple[int, int]) -> str | None:
    """Say what is wrong with boxes (N, 4) XYXY, or (N, 5), of an image of (height, width)."""
    if not bool(torch.isfinite(boxes).all()):
        return "they are not finite numbers"
    if boxes.shape[1] != 4:
        return None
    listed = [round(value, 1) for value in boxes[0].tolist()]
    turned = boxes[(boxes[:, 2:] < boxes[:, :2]).any(dim=1)]
    if len(turned):
        listed = [round(value, 1) for value in turned[0].tolist()]
        return f"{listed} has its right or lower side before the other, expected [x0, y0, x1, y1]"
    if boxes.max() <= 1 < min(size) and bool((boxes != boxes.round()).any()):
        return f"{listed} are fractions of 1, expected pixels"
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    outside = (centres < 0).any(dim=1) | (centres > boxes.new_tensor([size[1], size[0]])).any(dim=1)
    if bool(outside.any()):
        listed = [round(value, 1) for value in boxes[outside][0].tolist()]
        return f"{listed} lies outside of the image of {size} (height, width)"
    return None


def _is_scaled(image: Tensor) -> bool:
    """Return whether the pixels are fractions of 1. A black image of 0 to 255 has whole numbers."""
    return image.is_floating_point() and bool(image.max() <= 1) and bool((image != image.round()).any())
