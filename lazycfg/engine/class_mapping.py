"""Classes of a model and of the data that it is evaluated on: the same names may have other numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["ClassMapping", "RenumberedClasses", "match_classes"]


@dataclass(frozen=True)
class ClassMapping:
    """From the classes of a model to those of a data set.

    Attributes:
        things, stuff: for each class of the model its number in the data set, -1 where it has none; None
            where the numbers are the same.
    """

    things: tuple[int, ...] | None = None
    stuff: tuple[int, ...] | None = None


def match_classes(of_model: Sequence[str], of_data: Sequence[str]) -> tuple[int, ...] | None:
    """Return the number that each class of a model has in a data set, by its name; -1 where it has none.

    Returns:
        None if both have the same names in the same order (or one has none): nothing is to be mapped.

    Raises:
        ValueError: a name stands for two classes, so that names cannot tell which is meant.
    """
    if tuple(of_model) == tuple(of_data) or not of_model or not of_data:
        return None
    for names in (of_model, of_data):
        double = [name for name in dict.fromkeys(names) if list(names).count(name) > 1]
        if double:
            raise ValueError(
                f"{double[0]!r} is the name of two classes, so classes cannot be matched by name"
            )
    numbers = {name: number for number, name in enumerate(of_data)}
    return tuple(numbers.get(name, -1) for name in of_model)


class RenumberedClasses(nn.Module):
    """A model whose answers have the class numbers of another data set. For inference.

    Detections of a class that the data set does not have are left out: nothing there could be right or wrong
    about them, since no object of the class is annotated.

    Args:
        model: answers one dict for each image, with "instances", "sem_seg" (K, H, W) or "panoptic_seg".
        mapping: its classes in the data set.
    """

    def __init__(self, model: nn.Module, mapping: ClassMapping) -> None:
        super().__init__()
        self.model = model
        self.mapping = mapping

    def forward(self, batched_inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return what the model says, with other numbers; its own answers are left as they are."""
        return [self._renumbered(output) for output in self.model(batched_inputs)]

    def _renumbered(self, output: Mapping[str, Any]) -> dict[str, Any]:
        result = dict(output)
        things, stuff = self.mapping.things, self.mapping.stuff
        if things is not None and "instances" in output:
            result["instances"] = _instances(output["instances"], things)
        if stuff is not None and "sem_seg" in output:
            result["sem_seg"] = _scores(output["sem_seg"], stuff)
        if "panoptic_seg" in output:
            segments, info = output["panoptic_seg"]
            if info is None:
                raise ValueError(
                    "panoptic labels without segments_info cannot be renumbered: give the training and the "
                    "test data the same classes in the same order"
                )
            kinds = {True: things, False: stuff}
            renumbered = [
                segment | {"category_id": kind[segment["category_id"]]}
                if (kind := kinds[bool(segment["isthing"])]) is not None
                else segment
                for segment in info
            ]
            result["panoptic_seg"] = segments, [s for s in renumbered if s["category_id"] >= 0]
        return result


def _instances(instances: Any, numbers: Sequence[int]) -> Any:
    table = torch.tensor(numbers, device=instances.pred_classes.device)
    classes = table[instances.pred_classes]
    if min(numbers) < 0:
        kept = classes >= 0
        instances, classes = instances[kept], classes[kept]
    result = type(instances)(instances.image_size, **instances.get_fields())
    result.pred_classes = classes
    return result


def _scores(scores: Tensor, numbers: Sequence[int]) -> Tensor:
    """Put the scores (K, H, W) or labels (H, W) of a model's classes where the data set has them."""
    table = torch.tensor(numbers, device=scores.device)
    if scores.dim() == 2:
        return table[scores.long()]
    result = torch.empty_like(scores)
    result[table] = scores
    return result
