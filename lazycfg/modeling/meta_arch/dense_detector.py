"""Detectors that predict classes and boxes at every place of the maps, without proposals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lazycfg.structures import Boxes, ImageList, Instances
from lazycfg.utils.suggest import closest

from ..backbone import Backbone
from ..batched_instances import ImageSizes
from ..box_regression import BoxCodec
from ..postprocessing import postprocess_batch
from ..proposal_generator.proposal_utils import clip_boxes, image_bounds
from ..roi_heads.detections import (
    CANDIDATES,
    CANDIDATES_PER_DETECTION,
    fetch_table,
    make_detections,
    suppress,
)
from .rcnn import ImageModel, output_sizes

__all__ = ["DenseDetector"]


class DenseDetector(ImageModel):
    """Base of one-stage detectors: a backbone, and a head that is applied to every level.

    A subclass gives `forward_training` and `forward_inference`.

    Args:
        backbone: a built backbone.
        head: list of maps -> tuple of predictions, each a list with one tensor (N, A * K, H, W) per level.
        head_in_features: names of the maps the head gets; by default all, finest first.
        pixel_mean, pixel_std: of each channel, in the units and the order of the images given.
        input_format: "BGR" or "RGB", for those who read and draw images.
        initial_normalizer: what the moving average of the number of positives, by which the losses are
            divided, starts from; None for a detector without one (which has no `training_buffers`).
    """

    # The trainer saves it with its own state
    training_buffers: tuple[str, ...] = ("loss_normalizer",)

    def __init__(
        self,
        *,
        backbone: Backbone,
        head: nn.Module,
        head_in_features: Sequence[str] | None = None,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        input_format: str | None = None,
        initial_normalizer: float | None = 100.0,
    ) -> None:
        super().__init__(
            backbone=backbone, pixel_mean=pixel_mean, pixel_std=pixel_std, input_format=input_format
        )
        self.head = head
        shapes = backbone.output_shape()
        if head_in_features is None:
            head_in_features = sorted(shapes, key=lambda name: shapes[name].stride or 0)
        for name in head_in_features:
            if name not in shapes:
                raise ValueError(f"head_in_features: the backbone has no {name!r}{closest(name, shapes)}")
        self.head_in_features = list(head_in_features)
        if initial_normalizer is not None:
            # No part of a checkpoint of weights: the reference's have none
            self.register_buffer("loss_normalizer", torch.tensor(float(initial_normalizer)), persistent=False)

    def forward(self, batched_inputs: Sequence[dict[str, Any]]) -> Any:
        """Compute the losses in training, and detect otherwise.

        Args:
            batched_inputs: per image a dict with "image" (C, H, W); in training "instances" with ``gt_boxes``
                and ``gt_classes``; optionally "height" and "width" of the output.

        Returns:
            In training the losses by name; at inference per image {"instances": `Instances`} with
            ``pred_boxes``, ``scores``, ``pred_classes``.

        Raises:
            ValueError: an input lacks ``instances`` in training.
        """
        if not self.training and not len(batched_inputs):
            return []
        images = self.preprocess_image(batched_inputs)
        gt_instances = self.ground_truth(batched_inputs) if self.training else None
        if self.training and gt_instances is None:
            raise ValueError("training needs 'instances' in every input; for predictions call model.eval()")
        features = self.backbone(images.tensor)
        maps = [features[name] for name in self.head_in_features]
        predictions = self.head(maps)
        if gt_instances is not None:
            return self.forward_training(images, maps, predictions, gt_instances)
        results = self.forward_inference(images, maps, predictions)
        sizes = output_sizes(batched_inputs, images.image_sizes)
        return [{"instances": x} for x in self.postprocess(results, sizes)]

    def postprocess(self, results: Sequence[Instances], output_sizes: ImageSizes) -> list[Instances]:
        """Scale the detections of each image to (height, width) of its output, see `postprocess_batch`."""
        return postprocess_batch(results, output_sizes)

    def forward_training(
        self,
        images: ImageList,
        features: Sequence[Tensor],
        predictions: Sequence[Sequence[Tensor]],
        gt_instances: Sequence[Instances],
    ) -> dict[str, Tensor]:
        """Return the losses by name.

        Args:
            images: the batch (N, C, H, W).
            features: per level (N, C_l, H_l, W_l).
            predictions: of each kind, per level (N, A * values, H_l, W_l).
            gt_instances: the objects of each image, in pixels of the network's input.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def forward_inference(
        self, images: ImageList, features: Sequence[Tensor], predictions: Sequence[Sequence[Tensor]]
    ) -> Sequence[Instances]:
        """Return the detections of each image, in pixels of the network's input.

        Args:
            images: the batch (N, C, H, W).
            features: per level (N, C_l, H_l, W_l).
            predictions: of each kind, per level (N, A * values, H_l, W_l).

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def inference_single_image(
        self,
        anchors: Sequence[Boxes],
        box_cls: Sequence[Tensor],
        box_delta: Sequence[Tensor],
        image_size: tuple[int, int],
    ) -> Instances:
        """Return the detections of one image.

        A subclass that overrides this is asked for one image after the other. Otherwise all images of a batch
        are done together, with the same result and one wait for the device.

        Args:
            anchors: per level A_i boxes.
            box_cls: per level (A_i, K) scores from 0 to 1.
            box_delta: per level (A_i, 4) offsets.
            image_size: (height, width) of the network's input.

        Returns:
            `Instances` with ``pred_boxes``, ``scores``, ``pred_classes``, best first.
        """
        scores, deltas = ([x[None] for x in levels] for levels in (box_cls, box_delta))
        return self.detect_batch(torch.cat([x.tensor for x in anchors]), scores, deltas, [image_size])[0]

    def detect_images(
        self,
        anchors: Sequence[Boxes],
        scores: Sequence[Tensor],
        deltas: Sequence[Tensor],
        image_sizes: ImageSizes,
    ) -> list[Instances]:
        """Return the detections of each image, see `inference_single_image`.

        Args:
            anchors: per level A_i boxes; scores: per level (B, A_i, K); deltas: per level (B, A_i, 4).
        """
        own = getattr(self.inference_single_image, "__func__", None) is DenseDetector.inference_single_image
        if own:
            return self.detect_batch(torch.cat([x.tensor for x in anchors]), scores, deltas, image_sizes)
        return [
            self.inference_single_image(anchors, [x[i] for x in scores], [x[i] for x in deltas], size)
            for i, size in enumerate(image_sizes)
        ]

    def detect_batch(
        self, anchors: Tensor, scores: Sequence[Tensor], deltas: Sequence[Tensor], image_sizes: ImageSizes
    ) -> list[Instances]:
        """Return the detections of all images, with the thresholds that RetinaNet and FCOS have.

        Args:
            anchors: (A, 4) of all levels, XYXY in pixels.
            scores: per level (N, A_l, K).
            deltas: per level (N, A_l, 4).
            image_sizes: (height, width) of each image.
        """
        model: Any = self
        candidates = self.candidates(anchors, scores, deltas, image_sizes)
        return candidates.detect(model.test_nms_thresh, model.max_detections_per_image, image_sizes)

    def candidates(
        self, anchors: Tensor, scores: Sequence[Tensor], deltas: Sequence[Tensor], image_sizes: ImageSizes
    ) -> "DenseCandidates":
        """Return what may become detections; arguments of shapes as in `detect_batch`."""
        model: Any = self
        return DenseCandidates(
            scores,
            deltas,
            anchors,
            model.box2box_transform,
            model.test_score_thresh,
            model.test_topk_candidates,
            image_sizes if getattr(model, "clip_before_nms", False) else None,
        )

    def score_places(self, predictions: Sequence[Sequence[Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
        """Return the scores of all classes at each place, per level (N, A_l, K) from 0 to 1, and the offsets,
        per level (N, A_l, 4).

        Args:
            predictions: of each kind, per level (N, A * values, H_l, W_l).

        Raises:
            NotImplementedError: a subclass that uses it has to do this.
        """
        raise NotImplementedError

    @torch.no_grad()
    def update_normalizer(self, num_positives: Tensor, momentum: float = 0.9) -> Tensor:
        """Move the average number of positives on by this batch's (at least 1), and return a copy of it;
        shape ().
        """
        new = self.loss_normalizer * momentum + num_positives.clamp(min=1) * (1 - momentum)
        self.loss_normalizer.copy_(new)
        return new


def dense_predictions(levels: Sequence[Tensor], dim: int) -> list[Tensor]:
    """Maps (N, A * dim, H, W) -> per level (N, H * W * A, dim), in the order of anchors."""
    return [x.unflatten(1, (-1, dim)).permute(0, 3, 4, 1, 2).flatten(1, 3) for x in levels]


class DenseCandidates:
    """What dense predictions may become detections, best first; on the device until fetched.

    Args:
        scores: per level (B, A_i, K).
        deltas: per level (B, A_i, 4).
        anchors: (A, 4) XYXY of all levels; codec: turns offsets into boxes.
        score_thresh: candidates score more than this.
        topk: at most so many candidates of a level.
        clip_to: (height, width) of each image, which the boxes are clipped to.
    """

    def __init__(
        self,
        scores: Sequence[Tensor],
        deltas: Sequence[Tensor],
        anchors: Tensor,
        codec: BoxCodec,
        score_thresh: float,
        topk: int,
        clip_to: ImageSizes | None = None,
    ) -> None:
        num_classes = scores[0].shape[-1]
        best, index = [], []
        start = 0
        for level in scores:
            top, where = level.flatten(1).topk(min(topk, level[0].numel()), dim=1)
            best.append(top)
            index.append(where + start * num_classes)
            start += level.shape[1]
        self.scores = torch.cat(best, dim=1)
        self.index = torch.cat(index, dim=1)
        self.passed = self.scores > score_thresh
        self.total = self.passed.sum(dim=1)
        self.num_classes = num_classes
        self.deltas = torch.cat(list(deltas), dim=1)
        self.anchors = anchors
        self.codec = codec
        self.bounds = None if clip_to is None else image_bounds(clip_to, anchors.device)

    def fetch(self, limit: int) -> tuple[np.ndarray, list[int]]:
        """Return the table of the `limit` best ones, and how many candidates each image has in all, on the
        host. Waits for the device.
        """
        return fetch_table(self.table(limit), self.total)

    def table(self, limit: int) -> Tensor:
        """Return the `limit` best ones of each image: (B, C, 7) of XYXY, score (-1 for none), class and
        anchor.
        """
        scores = torch.where(self.passed, self.scores, -1.0)
        score, where = scores.topk(min(limit, scores.shape[1]), dim=1)
        index = self.index.gather(1, where)
        row = torch.div(index, self.num_classes, rounding_mode="floor")
        label = index - row * self.num_classes
        deltas = self.deltas.gather(1, row.unsqueeze(-1).expand(-1, -1, 4))
        box = self.codec.apply_deltas(deltas, self.anchors[row])
        if self.bounds is not None:
            box = clip_boxes(box, self.bounds)
        # float32 holds coordinates, labels, anchors and counts alike, up to 2^24
        return torch.cat([box, *(x.float().unsqueeze(-1) for x in (score, label, row))], dim=-1)

    @torch.compiler.disable
    def detect(self, nms_thresh: float, max_detections: int, image_sizes: ImageSizes) -> list[Instances]:
        """Return the best candidates of each image after NMS within each class."""
        kept, counts = self.suppress(nms_thresh, max_detections)
        return make_detections(kept, counts, image_sizes, self.scores.device)[0]

    def suppress(self, nms_thresh: float, max_detections: int) -> tuple[np.ndarray, list[int]]:
        """Return what is left of the table of `fetch` after NMS within each class, (N, 7), image by image and
        best first, and the rows of each image. Waits for the device.

        NMS goes from the best candidate down, so the best thousand nearly always settle the result.
        """
        limit = max(CANDIDATES, CANDIDATES_PER_DETECTION * max_detections)
        while True:
            table, totals = self.fetch(limit)
            kept, counts = suppress(table, nms_thresh, max_detections)
            settled = zip(totals, counts, strict=True)
            if all(total <= limit or found >= max_detections for total, found in settled):
                break
            limit *= 8
        return kept, counts


def stack_images(values: Tensor | Sequence[Tensor]) -> Tensor:
    """Return labels or boxes of anchors as (B, A, ...), also where a subclass has made a list of them."""
    return values if isinstance(values, Tensor) else torch.stack(list(values))
