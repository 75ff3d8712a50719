"""The heads of depth extent, mask and voxels (Mesh R-CNN, arXiv:1906.02739)."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import (
    Conv2d,
    ConvTranspose2d,
    ShapeSpec,
    c2_msra_fill,
    c2_xavier_fill,
    get_norm,
    smooth_l1_loss,
)
from lazycfg.layers.batch_norm import Norm
from lazycfg.modeling import MaskRCNNConvUpsampleHead
from lazycfg.modeling.batched_instances import cat_field
from lazycfg.modeling.data_needs import DataNeeds
from lazycfg.modeling.padding import pad_bitmasks, rows_of_images
from lazycfg.modeling.roi_heads.mask_head import masks_of_classes, record_mask_stats
from lazycfg.modeling.transfer import upload
from lazycfg.structures import Instances

from .camera import crop_voxels
from .structures import VoxelInstances

__all__ = ["FastRCNNFCHead", "MeshRCNNMaskHead", "VoxelRCNNConvUpsampleHead"]

MAX_LOG_DZ = math.log(1000.0 / 16)


class FastRCNNFCHead(nn.Module):
    """Predicts how far objects reach in depth, relative to the height of their box: fully connected layers,
    each followed by ReLU, and a number for each class, the logarithm of the extent.

    Args:
        input_shape: channels, height and width of a pooled region.
        num_fc, fc_dim: number and width of the layers.
        num_classes: of the objects.
        cls_agnostic: one number for all classes.
        smooth_l1_beta: of the loss; 0 for L1.
        loss_weight: of "loss_z_reg".
    """

    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        num_classes: int,
        num_fc: int = 2,
        fc_dim: int = 1024,
        cls_agnostic: bool = False,
        smooth_l1_beta: float = 0.0,
        loss_weight: float = 5.0,
    ) -> None:
        super().__init__()
        shape = (input_shape.channels, input_shape.height, input_shape.width)
        if None in shape or num_fc < 1:
            raise ValueError(
                f"FastRCNNFCHead needs channels, height and width and num_fc of 1 or more, got {input_shape} "
                f"and num_fc={num_fc}"
            )
        features = math.prod(shape)
        self.fcs: list[nn.Linear] = []
        for k in range(1, num_fc + 1):
            fc = nn.Linear(features, fc_dim)
            c2_xavier_fill(fc)
            self.add_module(f"z_fc{k}", fc)
            self.fcs.append(fc)
            features = fc_dim
        self.z_pred = nn.Linear(features, 1 if cls_agnostic else num_classes)
        nn.init.normal_(self.z_pred.weight, std=0.001)
        nn.init.zeros_(self.z_pred.bias)
        self.smooth_l1_beta = smooth_l1_beta
        self.loss_weight = loss_weight

    def forward(self, x: Tensor, instances: Sequence[Instances]) -> dict[str, Tensor] | Sequence[Instances]:
        """Predict the extent in depth of each object.

        Args:
            x: (R, C, H, W) features of the regions of all images.
            instances: per image. In training the foreground, with ``proposal_boxes``, ``gt_classes`` and
                ``gt_dz`` (n,) in pixels; at inference with ``pred_classes``.

        Returns:
            In training {"loss_z_reg"}; at inference the instances, which now have ``pred_dz`` (n, 1): the
            extent in heights of the box.
        """
        x = x.flatten(1)
        for fc in self.fcs:
            x = F.relu(fc(x))
        logs = self.z_pred(x)
        if self.training:
            return {"loss_z_reg": self._loss(logs, instances) * self.loss_weight}
        logs = of_classes(logs, cat_field(instances, "pred_classes")).float()
        extents = logs.clamp(max=MAX_LOG_DZ).exp().unsqueeze(1)
        for own, part in zip(instances, extents.split([len(i) for i in instances]), strict=True):
            own.pred_dz = part
        return instances

    def _loss(self, logs: Tensor, instances: Sequence[Instances]) -> Tensor:
        if not len(logs):
            return logs.sum() * 0.0
        boxes = cat_field(instances, "proposal_boxes")
        target = (cat_field(instances, "gt_dz") / (boxes[:, 3] - boxes[:, 1])).log()
        predicted = of_classes(logs, cat_field(instances, "gt_classes")).float()
        return smooth_l1_loss(predicted, target, self.smooth_l1_beta, reduction="sum") / len(logs)


def of_classes(values: Tensor, classes: Tensor) -> Tensor:
    """(R, C) and classes (R,) -> (R,) the value of each row's class; the only one if C is 1."""
    if values.shape[1] == 1:
        return values[:, 0]
    return values.gather(1, classes.unsqueeze(1)).squeeze(1)


class MeshRCNNMaskHead(MaskRCNNConvUpsampleHead):
    """The mask head of Mask R-CNN, trained as Mesh R-CNN does: a cell of the target is part of the object if
    any of the pixels is that it is interpolated from, and boxes are cut to whole pixels before.

    The arguments are those of `MaskRCNNConvUpsampleHead`.
    """

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data; masks come from `Pix3DMapper`, which always gives them."""
        masks = self.predictor.out_channels
        return DataNeeds(thing_classes=None if masks == 1 else masks)

    def forward(self, x: Tensor, instances: Sequence[Instances]) -> dict[str, Tensor] | Sequence[Instances]:
        """Return what `MaskRCNNConvUpsampleHead.forward` does, for regions (R, C, H, W); ``gt_masks`` are
        `BitMasks`.
        """
        if not self.training:
            return super().forward(x, instances)
        logits = self.layers(x)
        if not len(logits):
            return {"loss_mask": logits.sum() * 0.0}
        logits = masks_of_classes(logits, cat_field(instances, "gt_classes")).float()
        filled = [own for own in instances if len(own)]
        sources, indices = zip(*(own.gt_masks.shared() for own in filled), strict=True)
        masks = pad_bitmasks(sources)
        starts = upload(np.cumsum([0, *(len(own) for own in sources)])[:-1], masks.device, torch.int64)
        rows = torch.cat(indices) + rows_of_images(starts, [len(own) for own in indices])
        target = crop_masks(masks, rows, cat_field(filled, "proposal_boxes"), logits.shape[-1])
        record_mask_stats(logits, target, self.vis_period)
        loss = F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype))
        return {"loss_mask": loss * self.loss_weight}


@torch.no_grad()
def crop_masks(masks: Tensor, rows: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Cut boxes, their corners cut to whole pixels, from masks and resize them bilinearly; what is above 0 is
    part of the object.

    Args:
        masks: (M, H, W) bool. rows: (R,) the mask of each box. boxes: (R, 4) XYXY in pixels.

    Returns:
        (R, side, side) bool.
    """
    height, width = masks.shape[1:]
    corners = boxes.long()
    (y0, y1, y_between), (x0, x1, x_between) = (
        _taps(corners[:, i], corners[:, i + 2], size, side) for i, size in ((1, height), (0, width))
    )
    at = rows[:, None, None]
    found = masks[at, y0[:, :, None], x0[:, None, :]]
    found = found | masks[at, y0[:, :, None], x1[:, None, :]] & x_between[:, None, :]
    lower = masks[at, y1[:, :, None], x0[:, None, :]]
    lower = lower | masks[at, y1[:, :, None], x1[:, None, :]] & x_between[:, None, :]
    return found | lower & y_between[:, :, None]


def _taps(low: Tensor, high: Tensor, size: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of each cell of (R, side) the two pixels it is interpolated from, and whether the second counts."""
    low = low.clamp(0, size - 1)[:, None]
    length = (high.clamp(max=size)[:, None] - low).clamp(min=1)
    at = ((torch.arange(side, device=low.device) + 0.5) * (length / side) - 0.5).clamp(min=0)
    first = at.floor().long().minimum(length - 1)
    second = (first + 1).minimum(length - 1)
    return low + first, low + second, at > first


class VoxelRCNNConvUpsampleHead(nn.Module):
    """Predicts which cells of a box's frustum are occupied: 3x3 convolutions, a 2x2 transposed convolution of
    stride 2, and a 1x1 convolution whose channels are depths.

    Args:
        input_shape: channels of the pooled regions.
        num_classes: grids per region; 1 for a class-agnostic head.
        num_conv, conv_dim: number and channels of the convolutions.
        num_depth: cells in depth; it must be twice the side of the pooled regions.
        norm: of the 3x3 convolutions, as `get_norm` takes it.
        loss_weight: of "loss_voxel".
    """

    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        num_depth: int,
        num_classes: int = 1,
        num_conv: int = 4,
        conv_dim: int = 256,
        norm: Norm = "",
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.num_depth = num_depth
        self.loss_weight = loss_weight
        channels = input_shape.channels
        self.conv_norm_relus: list[nn.Module] = []
        for k in range(1, num_conv + 1):
            conv = Conv2d(
                channels,
                conv_dim,
                kernel_size=3,
                padding=1,
                bias=not norm,
                norm=get_norm(norm, conv_dim),
                activation=nn.ReLU(inplace=True),
            )
            c2_msra_fill(conv)
            self.add_module(f"voxel_fcn{k}", conv)
            self.conv_norm_relus.append(conv)
            channels = conv_dim
        self.deconv = ConvTranspose2d(channels, conv_dim, kernel_size=2, stride=2)
        c2_msra_fill(self.deconv)
        self.predictor = Conv2d(conv_dim, num_classes * num_depth, kernel_size=1)
        nn.init.normal_(self.predictor.weight, std=0.001)
        nn.init.zeros_(self.predictor.bias)

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        return DataNeeds(thing_classes=None if self.num_classes == 1 else self.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Features (R, channels, H, W) of regions -> logits (R, num_classes, num_depth, 2 H, 2 W)."""
        for layer in self.conv_norm_relus:
            x = layer(x)
        x = self.predictor(F.relu(self.deconv(x)))
        return x.unflatten(1, (self.num_classes, self.num_depth))

    def losses(self, logits: Tensor, instances: Sequence[Instances]) -> dict[str, Tensor]:
        """Return {"loss_voxel"}: the mean binary cross-entropy of the cells (R, D, H, W) of the true class.

        Args:
            logits: as `forward` returns them.
            instances: per image the foreground, with ``proposal_boxes``, ``gt_classes``, ``gt_voxels`` and
                ``gt_K``.

        Raises:
            ValueError: the grid is no cube.
        """
        if not len(logits):
            return {"loss_voxel": logits.sum() * 0.0}
        side = self.num_depth
        if logits.shape[3:] != (side, side):
            raise ValueError(
                f"the voxel head predicts {side} x {logits.shape[3]} x {logits.shape[4]} cells (depth, "
                f"height, width), which must be a cube: give it num_depth={logits.shape[3]}, or a pooler of "
                f"output_size={side // 2}"
            )
        filled = [own for own in instances if len(own)]
        target = crop_voxels(
            VoxelInstances.cat([own.gt_voxels for own in filled]),
            cat_field(filled, "proposal_boxes"),
            cat_field(filled, "gt_K"),
            side,
        )
        own = masks_of_classes(logits, cat_field(filled, "gt_classes")).float()
        loss = F.binary_cross_entropy_with_logits(own, target.to(own.dtype))
        return {"loss_voxel": loss * self.loss_weight}
