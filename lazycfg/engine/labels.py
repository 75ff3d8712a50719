"""The labels of training samples against the classes of a model, while they are on the host."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lazycfg.data import AnnotationError
from lazycfg.modeling import TellsDataNeeds
from lazycfg.structures import Instances
from lazycfg.utils import printable

__all__ = ["LabelCheck"]


class LabelCheck:
    """Finds labels that a model has no class for.

    Without it a loss raises "Target 80 is out of bounds" on a CPU, and a GPU ends the process. Only tensors
    on the host are looked at, so nothing waits for a device.

    Args:
        model: its parts are asked (see `lazycfg.modeling.TellsDataNeeds`).
    """

    def __init__(self, model: nn.Module) -> None:
        needs = [part.data_needs() for part in model.modules() if isinstance(part, TellsDataNeeds)]
        things = [need.thing_classes for need in needs if need.thing_classes is not None]
        self.things = min(things, default=None)
        """Number of classes of objects; None where no part tells."""
        stuff = [need for need in needs if need.stuff_classes is not None]
        self.stuff = min((need.stuff_classes or 0 for need in stuff), default=None)
        """Number of classes of pixels; None where no part tells."""
        self.ignored = {need.ignore_label for need in stuff}

    def check(self, batch: Any) -> None:
        """Look at a batch, a list of dicts with "instances" and "sem_seg"; another kind is left alone.

        Raises:
            AnnotationError: a label is out of range; names the image and what was expected.
        """
        if not isinstance(batch, Sequence):
            return
        samples = [sample for sample in batch if isinstance(sample, Mapping)]
        if not self._has_unknown(samples):
            return
        for sample in samples:
            if (problem := self.problem(sample)) is not None:
                raise AnnotationError(
                    f"image {_name(sample)}: {problem}. The mapper of dataloader.train gives labels that its "
                    "data set does not have, or changes them"
                )

    def _has_unknown(self, samples: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether any label is out of range: quickly, as every batch is looked at."""
        classes = [found for sample in samples if (found := _classes(sample)) is not None and len(found)]
        if classes:
            low, high = (int(value) for value in torch.cat(classes).aminmax())
            if low < 0 or (self.things is not None and high >= self.things):
                return True
        for pixels in (found for sample in samples if (found := _pixels(sample)) is not None):
            if self.stuff is not None and pixels.numel():
                for label in self.ignored:
                    pixels = pixels if label is None else pixels.masked_fill(pixels == label, 0)
                low, high = (int(value) for value in pixels.aminmax())
                if low < 0 or high >= self.stuff:
                    return True
        return False

    def problem(self, sample: Mapping[str, Any]) -> str | None:
        """Return what is wrong with the labels of a sample; None if nothing is."""
        classes = _classes(sample)
        if classes is not None:
            beyond = classes < 0 if self.things is None else (classes < 0) | (classes >= self.things)
            if len(wrong := classes[beyond]):
                expected = "at least 0" if self.things is None else f"0 to {self.things - 1}"
                return f"an object has the class {int(wrong[0])}, expected {expected}"
        pixels = _pixels(sample)
        if self.stuff is not None and pixels is not None:
            unknown = pixels[(pixels < 0) | (pixels >= self.stuff)].unique().tolist()
            if unknown := [label for label in unknown if label not in self.ignored]:
                ignored = ", ".join(map(str, sorted(label for label in self.ignored if label is not None)))
                return (
                    f"pixels have the label {unknown[0]}, expected 0 to {self.stuff - 1}, or {ignored} for "
                    "pixels that do not count (ignore_value of the head)"
                )
        return None


def _classes(sample: Mapping[str, Any]) -> Tensor | None:
    """Return the classes (N,) of the objects of a sample; None where they are not on the host."""
    instances = sample.get("instances")
    if not isinstance(instances, Instances) or not instances.has("gt_classes"):
        return None
    labels: Tensor = instances.gt_classes
    return labels if labels.device.type == "cpu" else None


def _pixels(sample: Mapping[str, Any]) -> Tensor | None:
    """Return the labels (H, W) of the pixels of a sample; None where they are not on the host."""
    pixels = sample.get("sem_seg")
    return pixels if isinstance(pixels, Tensor) and pixels.device.type == "cpu" else None


def _name(sample: Mapping[str, Any]) -> str:
    named = [f"{key}={sample[key]}" for key in ("file_name", "image_id") if sample.get(key) is not None]
    return printable(" ".join(named)) or "without a name"
