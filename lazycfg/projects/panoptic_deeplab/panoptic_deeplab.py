"""Panoptic-DeepLab (arXiv:1911.10194): panoptic segments of classes, centres and offsets, without boxes."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lazycfg.modeling import Backbone
from lazycfg.modeling.center_grouping import get_panoptic_segmentation, instances_of_panoptic
from lazycfg.modeling.meta_arch.rcnn import ImageModel, output_sizes
from lazycfg.modeling.postprocessing import sem_seg_postprocess_batch
from lazycfg.modeling.preprocessing import batch_images, batch_maps
from lazycfg.structures import ImageList

__all__ = ["PanopticDeepLab"]

logger = logging.getLogger(__name__)


class PanopticDeepLab(ImageModel):
    """A backbone and two heads, whose maps are merged to panoptic segments.

    Args:
        backbone: a built backbone.
        sem_seg_head: as `PanopticDeepLabSemSegHead`.
        ins_embed_head: as `PanopticDeepLabInsEmbedHead`.
        pixel_mean, pixel_std, input_format: as for `GeneralizedRCNN`.
        thing_ids: which of the classes of pixels are things.
        label_divisor: a segment has the label ``class * label_divisor + k``, see `PanopticMaps`.
        stuff_area: stuff of fewer pixels is left out.
        threshold, nms_kernel, top_k: of centres, see `find_instance_center`.
        predict_instances: whether instances with scores are given besides the map.
        size_divisibility: images are padded to multiples of this; negative: as the backbone wants.
        benchmark_network_speed: only run the network and give nothing, to measure it.

    Raises:
        ValueError: a thing that is none of the classes.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        sem_seg_head: nn.Module,
        ins_embed_head: nn.Module,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        input_format: str | None = None,
        thing_ids: Sequence[int],
        label_divisor: int = 1000,
        stuff_area: int = 2048,
        threshold: float = 0.1,
        nms_kernel: int = 7,
        top_k: int | None = 200,
        predict_instances: bool = True,
        size_divisibility: int = -1,
        benchmark_network_speed: bool = False,
    ) -> None:
        super().__init__(
            backbone=backbone, pixel_mean=pixel_mean, pixel_std=pixel_std, input_format=input_format
        )
        self.sem_seg_head = sem_seg_head
        self.ins_embed_head = ins_embed_head
        num_classes = sem_seg_head.predictor.out_channels
        wrong = [i for i in thing_ids if not 0 <= i < num_classes]
        if wrong:
            raise ValueError(
                f"PanopticDeepLab: thing_ids {wrong} are none of the {num_classes} classes of sem_seg_head"
            )
        is_thing = torch.tensor([i in set(thing_ids) for i in range(num_classes)])
        self.register_buffer("is_thing", is_thing, persistent=False)
        self.label_divisor = label_divisor
        self.stuff_area = stuff_area
        self.threshold = threshold
        self.nms_kernel = nms_kernel
        self.top_k = top_k
        self.predict_instances = predict_instances
        self.size_divisibility = size_divisibility
        self.benchmark_network_speed = benchmark_network_speed
        self._told_of_shape = False

    def preprocess_image(self, batched_inputs: Sequence[dict[str, Any]]) -> ImageList:
        """Return the images of the inputs, normalised and padded, on the device of the model."""
        return batch_images(
            [x["image"] for x in batched_inputs],
            self.pixel_mean,
            self.pixel_std,
            self._divisibility(),
            self.backbone.padding_constraints,
        )

    def forward(self, batched_inputs: Sequence[dict[str, Any]]) -> Any:
        """Return losses in training, else segments.

        Args:
            batched_inputs: per image a dict with "image" (C, H, W); in training "sem_seg" (H, W) int64,
                "center" (H, W), "center_weights" (1, H, W), "offset" (2, H, W), "offset_weights" (1, H, W)
                and, if the losses of pixels have weights, "sem_seg_weights" (H, W), all as
                `PanopticDeeplabDatasetMapper` makes them; optionally "height" and "width" of the output.

        Returns:
            In training the losses by name. At inference per image a dict with "sem_seg", logits (K, height,
            width); "panoptic_seg", (map (height, width) int64 of labels, None): a label tells its class, see
            `PanopticMaps`; and, unless there are none, "instances", see `instances_of_panoptic`.
        """
        if not self.training and not len(batched_inputs):
            return []
        images = self.preprocess_image(batched_inputs)
        features = self.backbone(images.tensor)
        if self.training:
            return self.losses(batched_inputs, features)
        logits, _ = self.sem_seg_head(features)
        center, offset, _, _ = self.ins_embed_head(features)
        if self.benchmark_network_speed:
            return []
        return self.postprocess(logits, center, offset, batched_inputs, images.image_sizes)

    def losses(
        self, batched_inputs: Sequence[dict[str, Any]], features: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the losses by name, of maps (N, C, H / stride, W / stride)."""
        sem_seg = self._maps(batched_inputs, "sem_seg", self.sem_seg_head.ignore_value)
        weights = None
        if any("sem_seg_weights" in x for x in batched_inputs):
            weights = self._maps(batched_inputs, "sem_seg_weights")
        center = self._maps(batched_inputs, "center")[:, None]
        targets = [
            self._maps(batched_inputs, name) for name in ("center_weights", "offset", "offset_weights")
        ]
        if (targets[0].dim() == 3 or targets[2].dim() == 3) and not self._told_of_shape:
            self._told_of_shape = True
            logger.warning(
                "'center_weights' and 'offset_weights' should be (1, H, W): those of shape (H, W) are "
                "broadcast from one image to the others of the batch"
            )
        losses = self.sem_seg_head(features, sem_seg, weights)[1]
        _, _, of_center, of_offset = self.ins_embed_head(features, center, *targets)
        return {**losses, **of_center, **of_offset}

    @torch.compiler.disable
    def postprocess(
        self,
        logits: Tensor,
        center: Tensor,
        offset: Tensor,
        batched_inputs: Sequence[dict[str, Any]],
        image_sizes: Sequence[tuple[int, int]],
    ) -> list[dict[str, Any]]:
        """Return the result of each image in its output size.

        Offsets are not scaled with the size, as in the paper's code: a map of offsets belongs to the
        resolution that the model was trained at.

        Args:
            logits, center, offset: (N, K, H, W), (N, 1, H, W), (N, 2, H, W), as the heads give them.
            image_sizes: (height, width) of each image within the padding.
        """
        sizes = output_sizes(batched_inputs, image_sizes)
        groups, of_center, of_offset = (
            sem_seg_postprocess_batch(x, image_sizes, sizes) for x in (logits, center, offset)
        )
        labels = _one_batch([(index, x.argmax(1)) for index, x in groups], -1)
        scores, heat, offsets = _one_batch(groups), _one_batch(of_center)[:, 0], _one_batch(of_offset)
        maps = get_panoptic_segmentation(
            labels,
            heat,
            offsets,
            is_thing=self.is_thing,
            label_divisor=self.label_divisor,
            stuff_area=self.stuff_area,
            threshold=self.threshold,
            nms_kernel=self.nms_kernel,
            top_k=self.top_k,
        )
        out: list[dict[str, Any]] = [
            {"sem_seg": own[:, :height, :width], "panoptic_seg": (panoptic[:height, :width], None)}
            for own, panoptic, (height, width) in zip(scores, maps.panoptic, sizes, strict=True)
        ]
        if self.predict_instances:
            found = instances_of_panoptic(maps, scores, heat, sizes, self.label_divisor)
            for result, instances in zip(out, found, strict=True):
                if instances is not None:
                    result["instances"] = instances
        return out

    def _divisibility(self) -> int:
        return self.backbone.size_divisibility if self.size_divisibility < 0 else self.size_divisibility

    def _maps(self, batched_inputs: Sequence[dict[str, Any]], name: str, pad_value: float = 0) -> Tensor:
        """Return a map of each input, padded as the images are.

        Raises:
            ValueError: an input has none, or one of another size than its image.
        """
        for i, x in enumerate(batched_inputs):
            size = tuple(x["image"].shape[-2:])
            if name not in x or tuple(x[name].shape[-2:]) != size:
                got = f"one of shape {tuple(x[name].shape)}" if name in x else "none"
                raise ValueError(
                    f"PanopticDeepLab: training needs {name!r} of the size of the image, {size}; input {i} "
                    f"({x.get('file_name', 'no file_name')}) has {got}. PanopticDeeplabDatasetMapper makes it"
                )
        maps = [x[name] for x in batched_inputs]
        constraints = self.backbone.padding_constraints
        return batch_maps(maps, self.device, pad_value, self._divisibility(), constraints).tensor


def _one_batch(groups: Sequence[tuple[list[int], Tensor]], pad_value: float = 0) -> Tensor:
    """Return groups of maps of equal sizes as one batch, in the order of the images; padded if need be."""
    if len(groups) == 1:
        return groups[0][1]
    maps: dict[int, Tensor] = {}
    for index, x in groups:
        maps |= dict(zip(index, x, strict=True))
    return ImageList.from_tensors([maps[i] for i in sorted(maps)], pad_value=pad_value).tensor
