"""The mask head of Mask R-CNN (arXiv:1703.06870) and its loss."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import Conv2d, ConvTranspose2d, ShapeSpec, c2_msra_fill, get_norm
from lazycfg.layers.batch_norm import Norm
from lazycfg.structures import BitMasks, Instances, PolygonMasks
from lazycfg.utils.events import get_event_storage

from ..batched_instances import cat_field
from ..data_needs import DataNeeds
from ..padding import pad_bitmasks, rows_of_images
from ..transfer import upload

__all__ = [
    "BaseMaskRCNNHead",
    "MaskRCNNConvUpsampleHead",
    "mask_rcnn_inference",
    "mask_rcnn_loss",
    "mask_targets",
]


class BaseMaskRCNNHead(nn.Module):
    """Base of mask heads: loss and inference around the method `layers` of a subclass.

    Args:
        loss_weight: of "loss_mask".
        vis_period: every so many iterations the predicted and the true masks are recorded as an image; 0 for
            never.
    """

    def __init__(self, *, loss_weight: float = 1.0, vis_period: int = 0) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.vis_period = vis_period

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        return DataNeeds(masks=True)

    def forward(self, x: Tensor, instances: Sequence[Instances]) -> dict[str, Tensor] | Sequence[Instances]:
        """Return the losses by name in training, else the instances with masks.

        Args:
            x: (R, C, H, W) features of the regions of all images.
            instances: per image. In training the foreground, with ``proposal_boxes``, ``gt_classes`` and
                ``gt_masks``; at inference with ``pred_boxes`` and ``pred_classes``.

        Returns:
            In training {"loss_mask"}; at inference the instances, which now have ``pred_masks``
            (R_i, 1, Hmask, Wmask), probabilities.
        """
        logits = self.layers(x)
        if self.training:
            return {"loss_mask": mask_rcnn_loss(logits, instances, self.vis_period) * self.loss_weight}
        mask_rcnn_inference(logits, instances)
        return instances

    def layers(self, x: Tensor) -> Tensor:
        """Map features (R, C, H, W) to mask logits (R, K, M, M), or (R, 1, M, M) for all classes alike.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError


class MaskRCNNConvUpsampleHead(BaseMaskRCNNHead, nn.Sequential):
    """3x3 convolutions, a 2x2 transposed convolution of stride 2, and a 1x1 convolution.

    Args:
        input_shape: channels of the pooled regions.
        num_classes: masks per region; 1 for a class-agnostic head.
        conv_dims: output channels of the convolutions; the last one is that of the transposed convolution.
        conv_norm: of the 3x3 convolutions, as `get_norm` takes it.
        loss_weight, vis_period: see `BaseMaskRCNNHead`.
    """

    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        num_classes: int,
        conv_dims: Sequence[int],
        conv_norm: Norm = "",
        loss_weight: float = 1.0,
        vis_period: int = 0,
    ) -> None:
        super().__init__(loss_weight=loss_weight, vis_period=vis_period)
        if not conv_dims:
            raise ValueError("MaskRCNNConvUpsampleHead: conv_dims is empty")
        self.conv_norm_relus: list[nn.Module] = []
        channels = input_shape.channels
        for k, dim in enumerate(conv_dims[:-1], start=1):
            conv = Conv2d(
                channels,
                dim,
                kernel_size=3,
                padding=1,
                bias=not conv_norm,
                norm=get_norm(conv_norm, dim),
                activation=nn.ReLU(inplace=True),
            )
            c2_msra_fill(conv)
            self.add_module(f"mask_fcn{k}", conv)
            self.conv_norm_relus.append(conv)
            channels = dim
        self.deconv = ConvTranspose2d(channels, conv_dims[-1], kernel_size=2, stride=2)
        c2_msra_fill(self.deconv)
        self.deconv_relu = nn.ReLU(inplace=True)
        self.predictor = Conv2d(conv_dims[-1], num_classes, kernel_size=1)
        nn.init.normal_(self.predictor.weight, std=0.001)
        nn.init.zeros_(self.predictor.bias)

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        masks = self.predictor.out_channels
        return DataNeeds(masks=True, thing_classes=None if masks == 1 else masks)

    def layers(self, x: Tensor) -> Tensor:
        """Map features (R, C, H, W) to mask logits (R, K, M, M), or (R, 1, M, M) for all classes alike."""
        for layer in self:
            x = layer(x)
        return x


def mask_rcnn_loss(pred_mask_logits: Tensor, instances: Sequence[Instances], vis_period: int = 0) -> Tensor:
    """Mean binary cross-entropy of the masks of the true classes; 0 of no regions.

    Args:
        pred_mask_logits: (R, K, M, M), or (R, 1, M, M) for a class-agnostic head.
        instances: per image, with ``proposal_boxes``, ``gt_classes`` and ``gt_masks`` (one per proposal).
        vis_period: see `BaseMaskRCNNHead`.

    Raises:
        ValueError: the predicted masks are not square.
    """
    if pred_mask_logits.shape[0] == 0:
        return pred_mask_logits.sum() * 0.0
    side = pred_mask_logits.shape[2]
    if pred_mask_logits.shape[3] != side:
        raise ValueError(f"the predicted masks must be square, got {tuple(pred_mask_logits.shape)}")
    logits = masks_of_classes(pred_mask_logits, cat_field(instances, "gt_classes")).float()
    targets = mask_targets(instances, side)
    record_mask_stats(logits, targets, vis_period)
    return F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction="mean")


def masks_of_classes(masks: Tensor, classes: Tensor) -> Tensor:
    """Select from masks (R, K, M, M), by classes (R,), the mask (R, M, M) of each row's class; the only one
    if K is 1.

    Raises:
        ValueError: they are not equally many.
    """
    if len(masks) != len(classes):
        raise ValueError(f"the mask head predicts {len(masks)} masks for {len(classes)} instances")
    if masks.shape[1] == 1:
        return masks[:, 0]
    return masks[torch.arange(len(masks), device=masks.device), classes]


@torch.compiler.disable
@torch.no_grad()
def mask_targets(instances: Sequence[Instances], side: int) -> Tensor:
    """Return what each proposal shows of its object: (R, side, side) bool, all images together where
    possible.

    Raises:
        ValueError: the ground truth has no masks.
    """
    for x in instances:
        if len(x) and not x.has("gt_masks"):
            raise ValueError(missing_masks(x))
    filled = [x for x in instances if len(x)]
    boxes = cat_field(filled, "proposal_boxes")
    fields = [x.gt_masks for x in filled]
    if all(isinstance(field, PolygonMasks) for field in fields):
        return PolygonMasks.cat(fields).crop_and_resize(boxes, side)
    if all(isinstance(field, BitMasks) for field in fields):
        sources, indices = zip(*(field.shared() for field in fields), strict=True)
        masks = BitMasks(pad_bitmasks(sources))
        starts = upload(np.cumsum([0, *(len(x) for x in sources)])[:-1], masks.device, torch.int64)
        rows = torch.cat(indices) + rows_of_images(starts, [len(x) for x in indices])
        return masks.crop_and_resize(boxes, side, rows).to(boxes.device)
    parts = [x.gt_masks.crop_and_resize(x.proposal_boxes.tensor, side).to(boxes.device) for x in filled]
    return torch.cat(parts)


def missing_masks(x: Instances) -> str:
    """Return the message for a mask head without ground truth."""
    return (
        f"the mask head needs 'gt_masks' in the ground truth, which has {sorted(x.get_fields())}. If the "
        "data has segmentations, let the mapper read them (dataloader.train.mapper.use_instance_mask=True); "
        "if it has boxes only, leave the mask head out (model.roi_heads.mask_head=None)"
    )


@torch.no_grad()
def record_mask_stats(logits: Tensor, targets: Tensor, vis_period: int) -> None:
    """Record accuracy, false positives and false negatives of (R, M, M) logits, as fractions."""
    storage = get_event_storage()
    wrong = (logits > 0.0) != targets
    positives = targets.sum()
    storage.put_scalar("mask_rcnn/accuracy", 1 - wrong.sum() / wrong.numel())
    false_positive = (wrong & ~targets).sum() / (targets.numel() - positives).clamp(min=1)
    storage.put_scalar("mask_rcnn/false_positive", false_positive)
    storage.put_scalar("mask_rcnn/false_negative", (wrong & targets).sum() / positives.clamp(min=1))
    if vis_period > 0 and storage.iter % vis_period == 0:
        both = torch.cat((logits.sigmoid(), targets.to(logits.dtype)), dim=2)[:16]
        picture = both.flatten(0, 1).expand(3, -1, -1)
        storage.put_image("Left: mask prediction;   Right: mask GT", picture)


def mask_rcnn_inference(pred_mask_logits: Tensor, pred_instances: Sequence[Instances]) -> None:
    """Give the instances ``pred_masks`` (R_i, 1, M, M): probabilities of the mask of the predicted class.

    Args:
        pred_mask_logits: (R, K, M, M) or (R, 1, M, M).
        pred_instances: per image, with ``pred_classes``.
    """
    classes = cat_field(pred_instances, "pred_classes")
    masks = masks_of_classes(pred_mask_logits, classes).float().sigmoid().unsqueeze(1)
    for x, part in zip(pred_instances, masks.split([len(x) for x in pred_instances]), strict=True):
        x.set("pred_masks", part)
