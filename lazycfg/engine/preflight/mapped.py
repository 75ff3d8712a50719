"""What a mapper gives for an image against what the model takes: labels and the scale of pixels."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from lazycfg.utils import printable

from ..labels import LabelCheck
from .findings import Findings

__all__ = ["SampleCheck"]


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
        # Classes of the test data have numbers of their own: they are matched by name
        self.check_labels = split == "train"
        self.where = f"dataloader.{split}.mapper"
        self.found = found
        self.told: set[str] = set()

    def look(self, sample: Any) -> None:
        """Look at one sample, a dict with "image" and perhaps "instances"; others are left alone."""
        if not isinstance(sample, Mapping):
            return
        image = sample.get("image")
        if self.check_labels and (problem := self.labels.problem(sample)) is not None:
            name = sample.get("file_name", sample.get("image_id"))
            self._tell("labels", f"it gives for image {printable(name)}: {problem}")
        if isinstance(image, Tensor) and self.mean > 1 and _is_scaled(image):
            self._tell(
                "scale",
                f"it gives images of 0 to {float(image.max()):.3g}, and model.pixel_mean is up to "
                f"{self.mean:.5g}: images are to be of 0 to 255, as the model scales them itself",
            )

    def _tell(self, kind: str, text: str) -> None:
        if kind not in self.told:
            self.told.add(kind)
            self.found.add(self.where, text)


def _is_scaled(image: Tensor) -> bool:
    """Return whether the pixels are fractions of 1. A black image of 0 to 255 has whole numbers."""
    return image.is_floating_point() and bool(image.max() <= 1) and bool((image != image.round()).any())
