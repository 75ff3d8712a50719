"""TensorMask (Chen et al., arXiv:1903.12174)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.modeling import Backbone, Box2BoxTransform, DataNeeds, DenseDetector
from lazycfg.modeling.batched_instances import ImageSizes
from lazycfg.modeling.box_regression import smooth_l1_loss
from lazycfg.modeling.ground_truth import GroundTruth
from lazycfg.modeling.meta_arch.dense_detector import DenseCandidates, dense_predictions
from lazycfg.modeling.padding import pad_bitmasks, rows_of_images
from lazycfg.modeling.postprocessing import postprocess_batch
from lazycfg.modeling.roi_heads.detections import make_detections
from lazycfg.modeling.transfer import upload
from lazycfg.structures import BitMasks, Boxes, ImageList, Instances, PolygonMasks
from lazycfg.structures.pasting import paste_masks_in_images

from .anchors import TensorMaskAnchorGenerator, assign_anchors
from .head import TensorMaskHead
from .losses import focal_star_loss, mask_loss

__all__ = ["TensorMask"]


class TensorMask(DenseDetector):
    """A one-stage detector that predicts a mask at every place, in the window of the anchor there.

    Args:
        backbone: a built backbone.
        head: as `TensorMaskHead`.
        head_in_features: names of the maps the head gets, finest first.
        anchor_generator: as `TensorMaskAnchorGenerator`; on the finest level its sizes, in units of the
            stride, are the head's `mask_sizes`.
        box2box_transform: codec of the offsets.
        num_classes: foreground classes.
        focal_loss_alpha, focal_loss_gamma: see `focal_star_loss`.
        mask_loss_weight: of "loss_mask".
        mask_loss_positive_weight: of pixels inside the object, those outside weigh 1.
        test_score_thresh: detections score more than this.
        test_topk_candidates: candidates of all levels together that go into NMS.
        test_nms_thresh: overlap above which the worse of two boxes of a class goes.
        max_detections_per_image: detections of an image in all.
        pixel_mean, pixel_std, input_format: as for `GeneralizedRCNN`.
    """

    # The losses are divided by the number of anchors of the batch, not by a moving average
    training_buffers = ()
    head: TensorMaskHead

    def __init__(
        self,
        *,
        backbone: Backbone,
        head: TensorMaskHead,
        head_in_features: Sequence[str] | None = None,
        anchor_generator: TensorMaskAnchorGenerator,
        box2box_transform: Box2BoxTransform,
        num_classes: int,
        focal_loss_alpha: float = 0.3,
        focal_loss_gamma: float = 3.0,
        mask_loss_weight: float = 2.0,
        mask_loss_positive_weight: float = 1.5,
        test_score_thresh: float = 0.05,
        test_topk_candidates: int = 6000,
        test_nms_thresh: float = 0.5,
        max_detections_per_image: int = 100,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        input_format: str | None = "BGR",
    ) -> None:
        super().__init__(
            backbone=backbone,
            head=head,
            head_in_features=head_in_features,
            pixel_mean=pixel_mean,
            pixel_std=pixel_std,
            input_format=input_format,
            initial_normalizer=None,
        )
        check_anchors(anchor_generator, head, len(self.head_in_features))
        self.num_classes = num_classes
        self.anchor_generator = anchor_generator
        self.box2box_transform = box2box_transform
        self.focal_loss_alpha = focal_loss_alpha
        self.focal_loss_gamma = focal_loss_gamma
        self.mask_loss_weight = mask_loss_weight
        self.mask_loss_positive_weight = mask_loss_positive_weight
        self.test_score_thresh = test_score_thresh
        self.test_topk_candidates = test_topk_candidates
        self.test_nms_thresh = test_nms_thresh
        self.max_detections_per_image = max_detections_per_image

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        return DataNeeds(thing_classes=self.num_classes, input_format=self.input_format, masks=True)

    def forward_training(
        self,
        images: ImageList,
        features: Sequence[Tensor],
        predictions: Sequence[Any],
        gt_instances: Sequence[Instances],
    ) -> dict[str, Tensor]:
        """Return "loss_cls", "loss_box_reg" and "loss_mask"; arguments of shapes as in `DenseDetector`.

        The device is waited for once: which anchors are of objects is read, to make their masks only.
        """
        check_masks(gt_instances)
        anchors = torch.cat([level.tensor for level in self.anchor_generator(features)])
        logits = torch.cat(dense_predictions(predictions[0], self.num_classes), dim=1)
        deltas = torch.cat(dense_predictions(predictions[1], 4), dim=1)
        grid_sizes = [x.shape[-2:] for x in features]
        gt = GroundTruth(gt_instances, anchors.device)
        matches, labels = self.label_anchors(anchors, gt, grid_sizes)
        of_object = labels == 1
        classes = torch.where(of_object, gather_rows(gt.classes, matches), self.num_classes)
        classes = classes.masked_fill(labels == -1, -1)
        image, row, matched = read_foreground(matches, of_object)
        norm = max(1, len(image))

        loss_cls = focal_star_loss(logits, classes, alpha=self.focal_loss_alpha, gamma=self.focal_loss_gamma)
        rows = upload(np.stack((image, row, matched)), anchors.device, torch.int64)
        target = self.box2box_transform.get_deltas(anchors[rows[1]], gt.boxes[rows[0], rows[2]])
        loss_box = smooth_l1_loss(deltas[rows[0], rows[1]].float(), target, 0.0).sum()
        loss_mask = self.masks_loss(predictions[2], gt_instances, anchors, grid_sizes, image, row, matched)
        losses = {"loss_cls": loss_cls, "loss_box_reg": loss_box, "loss_mask": loss_mask}
        return {name: loss / norm for name, loss in losses.items()}

    def label_anchors(
        self, anchors: Tensor, gt: GroundTruth, grid_sizes: Sequence[Sequence[int]]
    ) -> tuple[Tensor, Tensor]:
        """Return the object and the label of each anchor (A, 4), see `assign_anchors`."""
        generator = self.anchor_generator
        return assign_anchors(
            gt.boxes,
            gt.valid,
            anchors,
            generator.unit_lengths(grid_sizes),
            min_anchor_size=min(generator.sizes[0]) - generator.strides[0],
        )

    def masks_loss(
        self,
        masks: Sequence[Sequence[Tensor]],
        gt_instances: Sequence[Instances],
        anchors: Tensor,
        grid_sizes: Sequence[Sequence[int]],
        image: np.ndarray,
        row: np.ndarray,
        matched: np.ndarray,
    ) -> Tensor:
        """Return the sum over the anchors of objects of the loss of their masks.

        Args:
            masks: as the head gives them.
            anchors: (A, 4) XYXY.
            image, row, matched: (F,) on the host: the image, the anchor and the object of each.
        """
        loss = torch.stack([x[:1, :1, :1, :1].sum() for level in masks for x in level]).sum().float() * 0.0
        if len(image) == 0:
            return loss
        truth, starts = object_masks(gt_instances)
        for group in self.groups(masks, grid_sizes, image, row, anchors.device):
            logits = group.logits()
            targets = crop_masks(
                truth,
                starts[image[group.rows]] + matched[group.rows],
                anchors[upload(row[group.rows], anchors.device, torch.int64)],
                logits.shape[-1],
            )
            loss = loss + mask_loss(logits, targets, self.mask_loss_positive_weight)
        return loss * self.mask_loss_weight

    def groups(
        self,
        masks: Sequence[Sequence[Tensor]],
        grid_sizes: Sequence[Sequence[int]],
        image: np.ndarray,
        row: np.ndarray,
        device: torch.device,
    ) -> list["MaskGroup"]:
        """Return the masks of some anchors, those of one level and one size together.

        Args:
            masks: as the head gives them.
            image, row: (F,) on the host: the image and the anchor of each.
        """
        place = self.anchor_generator.indexes(grid_sizes)[torch.from_numpy(row)].numpy()
        where = upload(np.stack((image, place[:, 1], place[:, 2])), device, torch.int64)
        kind = place[:, 0] * len(masks[0]) + place[:, 3]
        out = []
        for each in np.unique(kind).tolist():
            level, anchor = divmod(each, len(masks[0]))
            rows = np.flatnonzero(kind == each)
            own = where[:, upload(rows, device, torch.int64)]
            out.append(MaskGroup(self.head, masks[level][anchor], level, own, rows))
        return out

    def forward_inference(
        self, images: ImageList, features: Sequence[Tensor], predictions: Sequence[Any]
    ) -> list[Instances]:
        """Return the detections in pixels of the network's input.

        Returns:
            Per image `Instances` with ``pred_boxes``, ``scores``, ``pred_classes``, best first; and with
            ``windows`` (`Boxes`) and ``window_masks``, a list of the mask of each in its window, (S, S)
            probabilities.
        """
        anchors = torch.cat([level.tensor for level in self.anchor_generator(features)])
        scores = torch.cat(dense_predictions(predictions[0], self.num_classes), dim=1).float().sigmoid()
        deltas = torch.cat(dense_predictions(predictions[1], 4), dim=1)
        candidates = DenseCandidates(
            [scores],
            [deltas],
            anchors,
            self.box2box_transform,
            self.test_score_thresh,
            self.test_topk_candidates,
        )
        grid_sizes = [x.shape[-2:] for x in features]
        return self.detect_masks(candidates, predictions[2], grid_sizes, images.image_sizes)

    @torch.compiler.disable
    def detect_masks(
        self,
        candidates: DenseCandidates,
        masks: Sequence[Sequence[Tensor]],
        grid_sizes: Sequence[Sequence[int]],
        image_sizes: ImageSizes,
    ) -> list[Instances]:
        """Return the best candidates after NMS with their masks; shapes as in `forward_inference`."""
        kept, counts = candidates.suppress(self.test_nms_thresh, self.max_detections_per_image)
        device = candidates.anchors.device
        results, rows = make_detections(kept, counts, image_sizes, device)
        image = np.repeat(np.arange(len(counts)), counts)
        found: list[Tensor | None] = [None] * len(image)
        for group in self.groups(masks, grid_sizes, image, kept[:, -1].astype(np.int64), device):
            for i, mask in zip(group.rows.tolist(), group.logits().sigmoid(), strict=True):
                found[i] = mask
        windows = candidates.anchors[torch.cat(rows)].split(counts) if counts else ()
        start = 0
        for x, own in zip(results, windows, strict=True):
            x.windows = Boxes(own)
            x.window_masks = found[start : start + len(own)]
            start += len(own)
        return results

    def postprocess(self, results: Sequence[Instances], output_sizes: ImageSizes) -> list[Instances]:
        """Scale the detections to the output sizes, with their masks as ``pred_masks`` (N, H, W) bool."""
        out = postprocess_batch(results, output_sizes)
        paste_windows(out, [x.image_size for x in results])
        return out


class MaskGroup:
    """Masks of one level and one size.

    Attributes:
        rows: (n,) on the host, which of the anchors asked for they are of.
    """

    def __init__(
        self, head: TensorMaskHead, masks: Tensor, level: int, where: Tensor, rows: np.ndarray
    ) -> None:
        self._head = head
        self._masks = masks
        self._level = level
        self._where = where
        self.rows = rows

    def logits(self) -> Tensor:
        """Return (N, S, S) logits."""
        return self._head.masks_at(self._masks, self._level, *self._where)


def check_anchors(generator: TensorMaskAnchorGenerator, head: TensorMaskHead, levels: int) -> None:
    """Raise ValueError where the anchors are not the windows that the head predicts masks of."""
    strides, sizes = generator.strides, generator.sizes
    if len(strides) != levels:
        raise ValueError(f"TensorMask: {levels} head_in_features, but anchors of {len(strides)} levels")
    units = [int(size // strides[0]) for size in sizes[0]]
    if units != head.mask_sizes:
        raise ValueError(
            f"TensorMask: the anchors of the finest level have sizes {sizes[0]}, {units} in units of the "
            f"stride {strides[0]}; the head's mask_sizes are {head.mask_sizes}. They must be the same"
        )
    if any(count != len(head.mask_sizes) for count in generator.num_anchors):
        raise ValueError(
            f"TensorMask: {generator.num_anchors} anchors at a place of each level for "
            f"{len(head.mask_sizes)} mask_sizes: give each level one anchor for each of them"
        )
    if head.bipyramid_on and any(coarse != 2 * fine for fine, coarse in pairwise(strides)):
        raise ValueError(f"TensorMask: with bipyramid_on strides double from level to level, got {strides}")


def check_masks(gt_instances: Sequence[Instances]) -> None:
    """Raise ValueError where an image has objects without masks."""
    for i, x in enumerate(gt_instances):
        if len(x) and not x.has("gt_masks"):
            raise ValueError(
                f"TensorMask needs 'gt_masks' in the ground truth; that of image {i} has "
                f"{sorted(x.get_fields())}. If the data has segmentations, let the mapper read them "
                "(dataloader.train.mapper.use_instance_mask=True)"
            )


def gather_rows(values: Tensor, index: Tensor) -> Tensor:
    """Return (B, A) of values (B, M) at an index (B, A); zeros where M is 0."""
    return values.gather(1, index) if values.shape[1] else torch.zeros_like(index)


@torch.compiler.disable
def read_foreground(matches: Tensor, of_object: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return image, anchor and object of all anchors (B, A) that are of an object. Waits for the device."""
    if matches.is_meta:
        none = np.zeros(0, np.int64)
        return none, none, none
    host = torch.where(of_object, matches, -1).cpu().numpy()
    image, row = (host >= 0).nonzero()
    return image, row, host[image, row]


def object_masks(instances: Sequence[Instances]) -> tuple[PolygonMasks | BitMasks, np.ndarray]:
    """Return the masks of all objects of a batch, and the (N,) numbers of the first of each image.

    Raises:
        TypeError: some are polygons and some are bit masks, or they are something else.
    """
    starts = np.cumsum([0, *(len(x) for x in instances)])[:-1]
    fields = [x.gt_masks for x in instances if len(x)]
    if all(isinstance(field, PolygonMasks) for field in fields):
        return PolygonMasks.cat(fields), starts
    if all(isinstance(field, BitMasks) for field in fields):
        return BitMasks(pad_bitmasks([field.tensor for field in fields])), starts
    kinds = sorted({type(field).__name__ for field in fields})
    raise TypeError(f"TensorMask takes gt_masks that are all PolygonMasks or all BitMasks, got {kinds}")


def crop_masks(truth: PolygonMasks | BitMasks, rows: np.ndarray, boxes: Tensor, side: int) -> Tensor:
    """Return what boxes (N, 4) show of objects, given by their rows on the host: (N, side, side) bool."""
    if isinstance(truth, PolygonMasks):
        return truth[rows].crop_and_resize(boxes, side)
    used, index = np.unique(rows, return_inverse=True)
    chosen = truth[upload(used, truth.device, torch.int64)]
    return chosen.crop_and_resize(boxes, side, upload(index, truth.device, torch.int64))


def paste_windows(results: Sequence[Instances], input_sizes: ImageSizes) -> None:
    """Replace the ``windows`` and ``window_masks`` of detections, in pixels of the input, by ``pred_masks``.

    Args:
        results: per image, in pixels of the output.
        input_sizes: (height, width) of the network's input, of each image.
    """
    counts = [len(x) for x in results]
    sizes = [x.image_size for x in results]
    scales = [(to[1] / of[1], to[0] / of[0]) for to, of in zip(sizes, input_sizes, strict=True)]
    boxes = torch.cat([x.windows.tensor for x in results])
    boxes = boxes * rows_of_images(upload(scales, boxes.device, boxes.dtype).repeat(1, 2), counts)
    masks = [mask for x in results for mask in x.window_masks]
    side = np.array([mask.shape[-1] for mask in masks], dtype=np.int64)
    parts: list[list[Tensor]] = [[] for _ in results]
    image = np.repeat(np.arange(len(counts)), counts)
    for each in np.unique(side):
        rows = np.flatnonzero(side == each)
        pasted = paste_masks_in_images(
            torch.stack([masks[i] for i in rows]),
            boxes[upload(rows, boxes.device, torch.int64)],
            np.bincount(image[rows], minlength=len(counts)).tolist(),
            sizes,
        )
        for own, part in zip(parts, pasted, strict=True):
            own.append(part)
    for i, x in enumerate(results):
        x.remove("windows")
        x.remove("window_masks")
        if not counts[i]:
            x.pred_masks = torch.zeros((0, *x.image_size), dtype=torch.bool, device=boxes.device)
            continue
        # where each detection of this image has come to lie
        back = np.argsort(np.argsort(side[image == i], kind="stable"))
        x.pred_masks = torch.cat(parts[i])[upload(back, boxes.device, torch.int64)]
