"""Test-time augmentation by a config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from lazycfg import modeling

from .configurable import configurable
from .detection_utils import create_keypoint_hflip_indices, read_image
from .stand_in import StandIn

__all__ = ["DatasetMapperTTA", "GeneralizedRCNNWithTTA"]


class DatasetMapperTTA(modeling.DatasetMapperTTA, metaclass=StandIn):
    """`lazycfg.modeling.DatasetMapperTTA`, or of a config."""

    stands_for = modeling.DatasetMapperTTA

    @configurable
    def __init__(self, min_sizes: Any, max_size: int, flip: bool) -> None:
        super().__init__(min_sizes=tuple(min_sizes), max_size=max_size, flip=flip)

    @classmethod
    def from_config(cls, cfg: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for."""
        section = cfg.TEST.AUG
        return {"min_sizes": section.MIN_SIZES, "max_size": section.MAX_SIZE, "flip": section.FLIP}


class GeneralizedRCNNWithTTA(modeling.GeneralizedRCNNWithTTA):
    """`lazycfg.modeling.GeneralizedRCNNWithTTA` of a config and a model."""

    def __init__(self, cfg: Any, model: Any, tta_mapper: Any = None, batch_size: int = 3) -> None:
        flips = None
        if cfg.MODEL.KEYPOINT_ON:
            flips = create_keypoint_hflip_indices(cfg.DATASETS.TRAIN or cfg.DATASETS.TEST)
        super().__init__(
            model=getattr(model, "module", model),
            tta_mapper=DatasetMapperTTA(cfg) if tta_mapper is None else tta_mapper,
            batch_size=batch_size,
            keypoint_hflip_indices=flips,
        )
        self.training = model.training  # one of a model in evaluation mode can be called as it is
        self.cfg = cfg.clone()

    def forward(self, batched_inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the detections in images; those that are not there are read from "file_name"."""
        return super().forward([self._with_image(item) for item in batched_inputs])

    def _with_image(self, item: Mapping[str, Any]) -> dict[str, Any]:
        if "image" in item:
            return dict(item)
        array = read_image(item["file_name"], self.cfg.INPUT.FORMAT)
        height, width = array.shape[:2]
        image = torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))
        return {"height": height, "width": width, **item, "image": image}
