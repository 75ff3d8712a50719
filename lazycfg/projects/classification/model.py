"""A network of scores as a model that the trainer and the evaluation can use."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lazycfg.evaluation import DatasetEvaluator
from lazycfg.modeling.preprocessing import batch_images
from lazycfg.utils import all_gather, is_main_process

__all__ = ["ClassificationAccuracy", "ClassificationNet"]


class ClassificationNet(nn.Module):
    """Any network of images (N, 3, H, W) -> scores (N, classes), such as those of `torchvision.models`.

    Args:
        model: the network.
        pixel_mean, pixel_std: of each channel, 0 to 255, in the order of `input_format`.
        input_format: order of the channels that the network expects.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        *,
        model: nn.Module,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        input_format: str = "RGB",
    ) -> None:
        super().__init__()
        self.model = model
        self.input_format = input_format
        for name, values in (("pixel_mean", pixel_mean), ("pixel_std", pixel_std)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)

    def forward(
        self, batched_inputs: Sequence[dict[str, Any]]
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Return the loss in training, else the scores.

        Args:
            batched_inputs: dicts with "image" (3, H, W), all of one size, and in training "label", the class.

        Returns:
            {"loss_cls"} in training; otherwise a {"scores"} (classes,) for each image, before the softmax.
        """
        images = batch_images([x["image"] for x in batched_inputs], self.pixel_mean, self.pixel_std)
        scores = self.model(images.tensor)
        if not self.training:
            return [{"scores": row} for row in scores]
        labels = torch.tensor([x["label"] for x in batched_inputs], device=scores.device)
        return {"loss_cls": F.cross_entropy(scores, labels)}


class ClassificationAccuracy(DatasetEvaluator):
    """Measure how often the class with the best score is right, in percent, over all processes."""

    def __init__(self, *, dataset: Any) -> None:
        self.dataset = dataset
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._right = self._seen = 0

    def process(self, inputs: Sequence[dict[str, Any]], outputs: Sequence[Any]) -> None:
        """Take in the scores of one batch."""
        for given, output in zip(inputs, outputs, strict=True):
            self._right += int(output["scores"].argmax()) == given["label"]
            self._seen += 1

    def evaluate(self) -> dict[str, Any] | None:
        """Return {"classification": {"accuracy"}} on the main process, None elsewhere."""
        counts = all_gather((self._right, self._seen))
        if not is_main_process():
            return None
        right, seen = (sum(column) for column in zip(*counts, strict=True))
        return {"classification": {"accuracy": 100 * right / seen if seen else float("nan")}}
