"""``DefaultPredictor``: a BGR array in, a dict out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from . import transforms as T
from .catalogs import MetadataCatalog
from .checkpoint import DetectionCheckpointer
from .registries import build_model

__all__ = ["DefaultPredictor"]


class DefaultPredictor:
    """The model of a config with its weights, for one image at a time.

    Args:
        cfg: a `CfgNode`; it is copied. ``MODEL.WEIGHTS`` is loaded, and need not fit.

    Attributes:
        metadata: of the first of ``DATASETS.TEST``, where there is one.
    """

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg.clone()
        self.model = build_model(self.cfg)
        self.model.eval()
        if len(cfg.DATASETS.TEST):
            self.metadata = MetadataCatalog.get(cfg.DATASETS.TEST[0])
        checkpointer = DetectionCheckpointer(self.model)
        checkpointer.load(cfg.MODEL.WEIGHTS)
        self.aug = T.ResizeShortestEdge(
            [cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MIN_SIZE_TEST], cfg.INPUT.MAX_SIZE_TEST
        )
        self.input_format = cfg.INPUT.FORMAT
        if self.input_format not in ("RGB", "BGR"):
            raise AssertionError(f"INPUT.FORMAT is {self.input_format!r}, expected 'RGB' or 'BGR'")

    def __call__(self, original_image: np.ndarray) -> dict[str, Any]:
        """Predict on an image.

        Args:
            original_image: (H, W, C) in BGR order, as OpenCV reads it.

        Returns:
            the output of the model for it, ``{"instances": Instances}`` of a detector.
        """
        with torch.no_grad():
            if self.input_format == "RGB":
                original_image = original_image[:, :, ::-1]
            height, width = original_image.shape[:2]
            image = self.aug.get_transform(original_image).apply_image(original_image)
            tensor = torch.as_tensor(image.astype("float32").transpose(2, 0, 1))
            inputs = {"image": tensor.to(self.cfg.MODEL.DEVICE), "height": height, "width": width}
            outputs: dict[str, Any] = self.model([inputs])[0]
            return outputs
