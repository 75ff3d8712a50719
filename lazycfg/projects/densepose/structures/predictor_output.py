"""What the outputs of all DensePose predictors can do: rows chosen, joined, moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from lazycfg.visualization import Canvas

__all__ = ["PredictorOutput"]


@dataclass
class PredictorOutput:
    """Base of dataclasses of maps (N, C, H, W) of N objects; a map that a predictor does not give is None.

    The field ``pred_densepose`` of `Instances` is one of them.
    """

    def __len__(self) -> int:
        return len(self._tensors()[0])

    @property
    def device(self) -> torch.device:
        """Return the device of the tensors."""
        return self._tensors()[0].device

    def _tensors(self) -> list[Tensor]:
        return [value for value in vars(self).values() if isinstance(value, Tensor)]

    def _map(self, function: Callable[[Tensor], Tensor]) -> Self:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return type(self)(**{name: function(v) if isinstance(v, Tensor) else v for name, v in values.items()})

    def __getitem__(self, item: int | slice | Tensor | np.ndarray | Sequence[int]) -> Self:
        """Return the chosen objects: always of the same kind, of length 1 for a number.

        Args:
            item: a number, a slice, numbers or a mask (N,) of bools.
        """
        if isinstance(item, int):
            if not -len(self) <= item < len(self):
                raise IndexError(f"index {item} is out of range for the outputs of {len(self)} objects")
            item = slice(item, item + 1 or None)
        return self._map(lambda tensor: tensor[item])

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Return a copy whose maps are moved, as `torch.Tensor.to` moves them."""
        return self._map(lambda tensor: tensor.to(*args, **kwargs))

    def draw_on(self, canvas: Canvas, boxes: Tensor) -> None:
        """Draw what is seen: charts by part, embeddings by their first three numbers.

        Args:
            canvas: with the image.
            boxes: (N, 4) XYXY in pixels of the image.
        """
        from ..visualization import paint_output  # which knows the outputs

        paint_output(canvas, self, boxes)

    def split(self, counts: Sequence[int]) -> list[Self]:
        """Return the outputs of each image, of which there are so many objects each."""
        parts = {
            name: value.split(list(counts)) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return [type(self)(**{name: own[i] for name, own in parts.items()}) for i in range(len(counts))]

    @classmethod
    def cat(cls, outputs: Sequence[Self]) -> Self:
        """Join the outputs for several groups of objects.

        Raises:
            ValueError: there are none, or some lack a map that others have.
        """
        if not outputs:
            raise ValueError(f"{cls.__name__}.cat: there is nothing to join")
        given = [{k: v for k, v in vars(x).items() if isinstance(v, Tensor)} for x in outputs]
        odd = {name for own in given for name in own.keys() ^ given[0].keys()}
        if odd:
            raise ValueError(f"{cls.__name__}.cat: some outputs have no {', '.join(sorted(odd))}")
        return type(outputs[0])(**{name: torch.cat([own[name] for own in given]) for name in given[0]})
