"""Detectors of mmdetection with the face of this library's: trained, evaluated and drawn like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lazycfg.modeling.preprocessing import batch_images, instances_to_device
from lazycfg.structures import BitMasks, Boxes, Instances
from lazycfg.utils import get_event_storage

__all__ = ["MMDetDetector"]

_INSTALL = (
    "MMDetDetector needs mmdetection, which is not a dependency: install mmcv and mmdet as its documentation "
    "says (https://mmdetection.readthedocs.io), or pass a built detector"
)


class MMDetDetector(nn.Module):
    """A detector of mmdetection, version 2 or 3: batches of dicts in, losses or `Instances` out.

    Args:
        detector: a built detector, or the dict with ``type`` that mmdetection builds it from. It is known by
            its methods: ``forward_train`` and ``simple_test`` (version 2), or ``loss`` and ``predict`` (3).
        pixel_mean, pixel_std: of each channel; the images are normalised here, not in the detector.
        size_divisibility: the sides of images are padded to multiples of it.
        input_format: order of the channels that the weights want, for the check that data give it.
        init_weights: whether to call the detector's ``init_weights``, which may fetch pretrained weights.

    Raises:
        ImportError: a dict, and mmdetection is not installed.
        TypeError: the detector has neither pair of methods.
        ValueError: not as many means as deviations.
    """

    def __init__(
        self,
        detector: nn.Module | Mapping[str, Any],
        *,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        size_divisibility: int = 32,
        input_format: str | None = None,
        init_weights: bool = True,
    ) -> None:
        super().__init__()
        if len(pixel_mean) != len(pixel_std):
            raise ValueError(f"{len(pixel_mean)} numbers in pixel_mean and {len(pixel_std)} in pixel_std")
        self.detector = _build(detector) if isinstance(detector, Mapping) else detector
        self._is_of_version_2 = hasattr(self.detector, "forward_train")
        needed = ("forward_train", "simple_test") if self._is_of_version_2 else ("loss", "predict")
        if not all(callable(getattr(self.detector, name, None)) for name in needed):
            name, lacking = type(self.detector).__name__, " and ".join(needed)
            raise TypeError(f"{name} is no detector of mmdetection: it lacks {lacking}")
        if init_weights and hasattr(self.detector, "init_weights"):
            self.detector.init_weights()
        self.size_divisibility = size_divisibility
        self.input_format = input_format
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).view(-1, 1, 1), persistent=False)

    @property
    def device(self) -> torch.device:
        """Return the device of the model."""
        return self.pixel_mean.device

    def forward(
        self, batched_inputs: Sequence[Mapping[str, Any]]
    ) -> dict[str, Tensor] | list[dict[str, Any]]:
        """Compute the losses in training, and detect otherwise.

        Args:
            batched_inputs: a dict for each image, as `GeneralizedRCNN` takes it; masks are `BitMasks` or
                `PolygonMasks`.

        Returns:
            in training the losses by name (other numbers go to the event storage), else a dict with
            "instances" for each image, in pixels of its "height" and "width".

        Raises:
            ValueError: some inputs have "height" and "width", others not.
        """
        has_size = {"height" in x for x in batched_inputs}
        if len(has_size) > 1:
            raise ValueError("some inputs have 'height' and 'width', others do not")
        images = batch_images(
            [x["image"] for x in batched_inputs], self.pixel_mean, self.pixel_std, self.size_divisibility
        )
        metas = [_meta(x, images.tensor.shape[-2:]) for x in batched_inputs]
        if self.training:
            truth = instances_to_device([x["instances"] for x in batched_inputs], self.device)
            losses = self._train_2 if self._is_of_version_2 else self._train_3
            return _losses(losses(images.tensor, metas, truth))
        predict = self._predict_2 if self._is_of_version_2 else self._predict_3
        return [{"instances": found} for found in predict(images.tensor, metas, has_size == {True})]

    # -- version 2

    def _train_2(self, images: Tensor, metas: list[dict[str, Any]], truth: Sequence[Instances]) -> Any:
        channels = images.shape[1]
        given: dict[str, Any] = {}
        if truth[0].has("gt_masks"):
            from mmdet.core import BitmapMasks, PolygonMasks

            given["gt_masks"] = [_mmdet_masks(x, BitmapMasks, PolygonMasks) for x in truth]
        boxes, classes = [x.gt_boxes.tensor for x in truth], [x.gt_classes for x in truth]
        return self.detector.forward_train(images, _metas_2(metas, channels), boxes, classes, **given)

    def _predict_2(self, images: Tensor, metas: list[dict[str, Any]], rescale: bool) -> list[Instances]:
        results = self.detector.simple_test(images, _metas_2(metas, images.shape[1]), rescale=rescale)
        return [_instances_2(result, meta["ori_shape"]) for result, meta in zip(results, metas, strict=True)]

    # -- version 3

    def _train_3(self, images: Tensor, metas: list[dict[str, Any]], truth: Sequence[Instances]) -> Any:
        from mmengine.structures import InstanceData

        samples = _samples_3(metas)
        for sample, x in zip(samples, truth, strict=True):
            sample.gt_instances = InstanceData(bboxes=x.gt_boxes.tensor, labels=x.gt_classes)
            if x.has("gt_masks"):
                from mmdet.structures.mask import BitmapMasks, PolygonMasks

                sample.gt_instances.masks = _mmdet_masks(x, BitmapMasks, PolygonMasks)
        return self.detector.loss(images, samples)

    def _predict_3(self, images: Tensor, metas: list[dict[str, Any]], rescale: bool) -> list[Instances]:
        results = self.detector.predict(images, _samples_3(metas), rescale=rescale)
        found = []
        for result, meta in zip(results, metas, strict=True):
            told = result.pred_instances
            instances = Instances(
                meta["ori_shape"],
                pred_boxes=Boxes(told.bboxes),
                scores=told.scores,
                pred_classes=told.labels,
            )
            if "masks" in told:
                instances.pred_masks = torch.as_tensor(told.masks).bool()
            found.append(instances)
        return found


def _build(config: Mapping[str, Any]) -> nn.Module:
    """Build a detector from a dict with ``type``, by what mmdetection has in its version."""
    try:
        import mmdet.models
    except ImportError as error:
        raise ImportError(_INSTALL) from error
    if hasattr(mmdet.models, "build_detector"):  # version 2
        from mmcv import ConfigDict

        return mmdet.models.build_detector(ConfigDict(_plain(config)))
    from mmdet.registry import MODELS
    from mmengine.config import ConfigDict

    return MODELS.build(ConfigDict(_plain(config)))


def _plain(value: Any) -> Any:
    """Return dicts and lists of Python's own kind, which mmdetection asks for."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    return value


def _meta(x: Mapping[str, Any], padded: Sequence[int]) -> dict[str, Any]:
    """Return what mmdetection wants to know of an image, sizes as (height, width)."""
    height, width = (int(side) for side in x["image"].shape[-2:])
    out_height, out_width = int(x.get("height", height)), int(x.get("width", width))
    return {
        "img_shape": (height, width),
        "ori_shape": (out_height, out_width),
        "pad_shape": tuple(padded),
        "batch_input_shape": tuple(padded),
        "scale_factor": (width / out_width, height / out_height),
        "flip": False,
    }


def _metas_2(metas: list[dict[str, Any]], channels: int) -> list[dict[str, Any]]:
    """Version 2 has sizes (height, width, channels) and four factors of scale."""
    shapes = ("img_shape", "ori_shape", "pad_shape")
    return [
        {
            **meta,
            **{name: (*meta[name], channels) for name in shapes},
            "scale_factor": np.array([*meta["scale_factor"]] * 2, dtype=np.float32),
        }
        for meta in metas
    ]


def _samples_3(metas: list[dict[str, Any]]) -> list[Any]:
    from mmdet.structures import DetDataSample

    return [DetDataSample(metainfo=meta) for meta in metas]


def _mmdet_masks(instances: Instances, bitmaps: Any, polygons: Any) -> Any:
    masks, (height, width) = instances.gt_masks, instances.image_size
    if isinstance(masks, BitMasks):
        return bitmaps(masks.tensor.cpu().numpy(), height, width)
    return polygons(masks.polygons, height, width)


def _instances_2(result: Any, size: tuple[int, int]) -> Instances:
    """Return `Instances` of a result of version 2: arrays (n, 5) for each class, perhaps masks for each."""
    by_class, masks = result if isinstance(result, tuple) else (result, None)
    masks = masks[0] if isinstance(masks, tuple) else masks  # of mask scoring
    boxes = torch.as_tensor(np.concatenate([np.asarray(part).reshape(-1, 5) for part in by_class]))
    counts = torch.tensor([len(part) for part in by_class])
    found = Instances(
        size,
        pred_boxes=Boxes(boxes[:, :4].float()),
        scores=boxes[:, 4].float(),
        pred_classes=torch.repeat_interleave(torch.arange(len(by_class)), counts),
    )
    if masks is not None:
        all_masks = [torch.as_tensor(np.asarray(mask)).bool() for mask in chain.from_iterable(masks)]
        found.pred_masks = torch.stack(all_masks) if all_masks else torch.zeros(0, *size, dtype=torch.bool)
    return found


def _losses(told: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the losses, lists of them summed; anything else is recorded."""
    losses, storage = {}, get_event_storage()
    for name, value in told.items():
        parts = value if isinstance(value, (list, tuple)) else [value]
        total = sum(torch.as_tensor(part).mean() for part in parts)
        if "loss" in name:
            losses[name] = total
        else:
            storage.put_scalar(name, total)
    return losses
