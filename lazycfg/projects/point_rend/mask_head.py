"""Mask heads that predict a coarse mask and refine it at points."""

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import Conv2d, ShapeSpec, c2_msra_fill, c2_xavier_fill
from lazycfg.modeling import DataNeeds, mask_rcnn_inference, mask_rcnn_loss
from lazycfg.modeling.batched_instances import cat_field
from lazycfg.modeling.point_features import (
    check_point_sampling,
    generate_regular_grid_point_coords,
    get_point_coords_wrt_image,
    get_uncertain_point_coords_on_grid,
    get_uncertain_point_coords_with_randomness,
    point_sample,
    point_sample_fine_grained_features,
    sample_point_labels,
)
from lazycfg.modeling.roi_heads.mask_head import masks_of_classes
from lazycfg.projects.point_rend.point_head import (
    ImplicitPointHead,
    StandardPointHead,
    roi_mask_point_loss,
)
from lazycfg.structures import Boxes, Instances

__all__ = ["ConvFCHead", "ImplicitPointRendMaskHead", "PointRendMaskHead", "calculate_uncertainty"]


def calculate_uncertainty(logits: Tensor, classes: Tensor) -> Tensor:
    """Return how near the logits of the classes are to 0, as minus their size.

    Args:
        logits: (R, K, ...) or (R, 1, ...) of any two or one spatial dimensions.
        classes: (R,) int64.

    Returns:
        (R, 1, ...), at most 0.
    """
    return -masks_of_classes(logits, classes).abs().unsqueeze(1)


class ConvFCHead(nn.Module):
    """Convolutions and fully connected layers that predict values of each region, such as a coarse mask.

    A 1x1 convolution to `conv_dim` channels where the input has more, a 2x2 convolution of stride 2, and the
    fully connected layers; each with ReLU.

    Args:
        input_shape: channels, height and width of a region; the last two are even.
        conv_dim: channels of the convolutions.
        fc_dims: output channels of the fully connected layers.
        output_shape: of what is predicted of a region, such as (classes, height, width).
    """

    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        conv_dim: int,
        fc_dims: Sequence[int],
        output_shape: Sequence[int],
    ) -> None:
        super().__init__()
        channels, height, width = input_shape.channels, input_shape.height, input_shape.width
        if not channels or not height or not width:
            raise ValueError(f"ConvFCHead(input_shape=) needs channels, height and width, got {input_shape}")
        self.output_shape = tuple(output_shape)
        self.conv_layers: list[nn.Module] = []
        if channels > conv_dim:
            self.reduce_channel_dim_conv = Conv2d(channels, conv_dim, kernel_size=1, activation=F.relu)
            self.conv_layers.append(self.reduce_channel_dim_conv)
            channels = conv_dim
        self.reduce_spatial_dim_conv = Conv2d(channels, conv_dim, kernel_size=2, stride=2, activation=F.relu)
        self.conv_layers.append(self.reduce_spatial_dim_conv)
        self.fcs: list[nn.Module] = []
        features = conv_dim * (height // 2) * (width // 2)
        for k, dim in enumerate(fc_dims, start=1):
            fc = nn.Linear(features, dim)
            self.add_module(f"fc{k}", fc)
            self.fcs.append(fc)
            features = dim
        self.prediction = nn.Linear(features, math.prod(self.output_shape))
        for conv in self.conv_layers:
            c2_msra_fill(conv)
        for fc in self.fcs:
            c2_xavier_fill(fc)
        nn.init.normal_(self.prediction.weight, std=0.001)
        nn.init.zeros_(self.prediction.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, H, W) -> (R, *output_shape)."""
        for conv in self.conv_layers:
            x = conv(x)
        x = x.flatten(1)
        for fc in self.fcs:
            x = F.relu(fc(x))
        return self.prediction(x).unflatten(1, self.output_shape)


class PointMaskHead(nn.Module):
    """What mask heads with points share: reading the maps in boxes, and refining masks step by step.

    A subclass gives `point_logits` and `forward`. The heads take maps, not pooled regions: leave out the
    `mask_pooler` of the `StandardROIHeads`.

    Args:
        input_shape: channels and stride of each map used.
        roi_pooler_in_features: names of the maps that a region as a whole is read from.
        roi_pooler_size: side of the grid of points at which it is.
        mask_point_in_features: names of the maps that points are read from.
        subdivision_resolution: side of the mask that the refinement begins with.
        subdivision_steps: how often the side is doubled.
        subdivision_num_points: points predicted anew after each doubling.
    """

    def __init__(
        self,
        *,
        input_shape: Mapping[str, ShapeSpec],
        roi_pooler_in_features: Sequence[str],
        roi_pooler_size: int,
        mask_point_in_features: Sequence[str],
        subdivision_resolution: int,
        subdivision_steps: int,
        subdivision_num_points: int,
    ) -> None:
        super().__init__()
        self.roi_pooler_in_features = list(roi_pooler_in_features)
        self.roi_pooler_size = roi_pooler_size
        self.mask_point_in_features = list(mask_point_in_features)
        self.mask_point_subdivision_init_resolution = subdivision_resolution
        self.mask_point_subdivision_steps = subdivision_steps
        self.mask_point_subdivision_num_points = subdivision_num_points
        self._feature_scales = {}
        for name in dict.fromkeys((*self.roi_pooler_in_features, *self.mask_point_in_features)):
            spec = input_shape.get(name)
            if spec is None or not spec.stride:
                raise ValueError(
                    f"{type(self).__name__}(input_shape=) must give the stride of {name!r}, which is read "
                    f"from; got {dict(input_shape)}"
                )
            self._feature_scales[name] = 1.0 / spec.stride

    def pool(self, features: Mapping[str, Tensor], boxes: Sequence[Boxes]) -> Tensor:
        """Read regions at a grid of points: maps by name, boxes of each image -> (R, C, side, side)."""
        side = self.roi_pooler_size
        grid = generate_regular_grid_point_coords(sum(len(x) for x in boxes), side, boxes[0].device)
        return self._read(features, self.roi_pooler_in_features, boxes, grid).unflatten(2, (side, side))

    def fine_features(self, features: Mapping[str, Tensor], boxes: Sequence[Boxes], points: Tensor) -> Tensor:
        """Read points of boxes: (R, P, 2) relative -> (R, C, P)."""
        return self._read(features, self.mask_point_in_features, boxes, points)

    def _read(
        self,
        features: Mapping[str, Tensor],
        names: Sequence[str],
        boxes: Sequence[Boxes],
        points: Tensor,
    ) -> Tensor:
        maps = [features[name] for name in names]
        scales = [self._feature_scales[name] for name in names]
        return point_sample_fine_grained_features(maps, scales, boxes, points)[0]

    def point_logits(
        self,
        features: Mapping[str, Tensor],
        boxes: Sequence[Boxes],
        points: Tensor,
        representation: Tensor,
    ) -> Tensor:
        """Predict points.

        Args:
            features: maps by name.
            boxes: of each image, R in all.
            points: (R, P, 2) relative to the boxes.
            representation: what is known of each region as a whole, (R, ...).

        Returns:
            (R, K, P) logits.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def predict_masks(
        self, features: Mapping[str, Tensor], instances: Sequence[Instances], representation: Tensor
    ) -> None:
        """Give the instances ``pred_masks`` (R_i, 1, side, side), probabilities, by subdivision: predict all
        points of a coarse mask, then double its resolution and predict the most uncertain points anew.

        Only the masks of the predicted classes are followed: the others would change nothing.

        Args:
            features: maps by name.
            instances: per image, with ``pred_boxes`` and ``pred_classes``; R in all.
            representation: as for `point_logits`.
        """
        boxes = [x.pred_boxes for x in instances]
        classes = cat_field(instances, "pred_classes")
        side, steps = self.mask_point_subdivision_init_resolution, self.mask_point_subdivision_steps
        if len(classes) == 0:
            side *= 2**steps
            mask_rcnn_inference(representation.new_zeros(0, 1, side, side), instances)
            return

        def logits_at(points: Tensor) -> Tensor:
            logits = self.point_logits(features, boxes, points, representation)
            return masks_of_classes(logits, classes).unsqueeze(1)

        grid = generate_regular_grid_point_coords(len(classes), side, classes.device)
        masks = logits_at(grid).unflatten(2, (side, side))
        for _ in range(steps):
            masks = F.interpolate(masks, scale_factor=2, mode="bilinear", align_corners=False)
            index, points = get_uncertain_point_coords_on_grid(
                -masks.abs(), self.mask_point_subdivision_num_points
            )
            refined = masks.flatten(2).scatter(2, index.unsqueeze(1), logits_at(points))
            masks = refined.view_as(masks)
        mask_rcnn_inference(masks, instances)


class PointRendMaskHead(PointMaskHead):
    """PointRend for instances (arXiv:1912.08193): a coarse mask of each region, and a head for its points.

    Args:
        input_shape: channels and stride of each map used, by name.
        coarse_head: as `ConvFCHead` with an output of (classes, side, side).
        point_head: as `StandardPointHead`; None leaves it at the coarse masks.
        roi_pooler_in_features, roi_pooler_size: maps, and the side of the grid, that the coarse head sees.
        mask_point_in_features: maps that the point head sees.
        mask_point_train_num_points: points of each region in training.
        mask_point_oversample_ratio, mask_point_importance_sample_ratio: see
            `get_uncertain_point_coords_with_randomness`.
        mask_point_subdivision_steps: how often the side of the coarse masks is doubled at inference. Steps
            after which all points are predicted anyway are left out.
        mask_point_subdivision_num_points: points predicted anew in each step.
        vis_period: see `BaseMaskRCNNHead`.
    """

    def __init__(
        self,
        *,
        input_shape: Mapping[str, ShapeSpec],
        coarse_head: ConvFCHead,
        point_head: StandardPointHead | None,
        roi_pooler_in_features: Sequence[str] = ("p2",),
        roi_pooler_size: int = 14,
        mask_point_in_features: Sequence[str] = ("p2",),
        mask_point_train_num_points: int = 14 * 14,
        mask_point_oversample_ratio: float = 3,
        mask_point_importance_sample_ratio: float = 0.75,
        mask_point_subdivision_steps: int = 5,
        mask_point_subdivision_num_points: int = 28 * 28,
        vis_period: int = 0,
    ) -> None:
        check_point_sampling(mask_point_oversample_ratio, mask_point_importance_sample_ratio)
        side, steps = coarse_head.output_shape[-1], mask_point_subdivision_steps
        while steps > 0 and 4 * side**2 <= mask_point_subdivision_num_points:
            side, steps = 2 * side, steps - 1
        super().__init__(
            input_shape=input_shape,
            roi_pooler_in_features=roi_pooler_in_features,
            roi_pooler_size=roi_pooler_size,
            mask_point_in_features=mask_point_in_features,
            subdivision_resolution=side,
            subdivision_steps=steps,
            subdivision_num_points=mask_point_subdivision_num_points,
        )
        self.coarse_head = coarse_head
        self.mask_point_on = point_head is not None
        if point_head is not None:
            self.point_head = point_head
        self.mask_point_train_num_points = mask_point_train_num_points
        self.mask_point_oversample_ratio = mask_point_oversample_ratio
        self.mask_point_importance_sample_ratio = mask_point_importance_sample_ratio
        self.vis_period = vis_period

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        masks = self.coarse_head.output_shape[0]
        return DataNeeds(masks=True, thing_classes=None if masks == 1 else masks)

    def forward(
        self, features: Mapping[str, Tensor], instances: Sequence[Instances]
    ) -> dict[str, Tensor] | Sequence[Instances]:
        """Compute the losses in training, and predict masks otherwise.

        Args:
            features: maps (N, C, H, W) by name.
            instances: per image. In training the foreground, with ``proposal_boxes``, ``gt_classes`` and
                ``gt_masks`` as `BitMasks`; at inference with ``pred_boxes`` and ``pred_classes``.

        Returns:
            In training {"loss_mask", "loss_mask_point"}; at inference the instances, which now have
            ``pred_masks`` (R_i, 1, side, side), probabilities.
        """
        boxes = [x.proposal_boxes if self.training else x.pred_boxes for x in instances]
        coarse = self.coarse_head(self.pool(features, boxes))
        if not self.training:
            if self.mask_point_on:
                self.predict_masks(features, instances, coarse)
            else:
                mask_rcnn_inference(coarse, instances)
            return instances
        losses = {"loss_mask": mask_rcnn_loss(coarse, instances, self.vis_period)}
        if self.mask_point_on:
            points = self.training_points(coarse, instances)
            logits = self.point_logits(features, boxes, points, coarse)
            labels = sample_labels_in_boxes(instances, boxes, points)
            losses["loss_mask_point"] = roi_mask_point_loss(logits, instances, labels)
        return losses

    def training_points(self, coarse: Tensor, instances: Sequence[Instances]) -> Tensor:
        """Draw the points to train on, where the coarse masks (R, K, side, side) of the true classes are
        uncertain: (R, P, 2) relative to the boxes.
        """
        classes = cat_field(instances, "gt_classes")
        own = masks_of_classes(coarse.detach(), classes).unsqueeze(1)  # sampled without the other classes
        return get_uncertain_point_coords_with_randomness(
            own,
            lambda logits: calculate_uncertainty(logits, classes),
            self.mask_point_train_num_points,
            self.mask_point_oversample_ratio,
            self.mask_point_importance_sample_ratio,
        )

    def point_logits(
        self,
        features: Mapping[str, Tensor],
        boxes: Sequence[Boxes],
        points: Tensor,
        representation: Tensor,
    ) -> Tensor:
        """Return (R, K, P) logits of points (R, P, 2), from fine maps and the coarse prediction."""
        fine = self.fine_features(features, boxes, points)
        return self.point_head(fine, point_sample(representation, points))


class ImplicitPointRendMaskHead(PointMaskHead):
    """Implicit PointRend (arXiv:2104.06404): the parameters of a point head are predicted for each region.

    There is no coarse mask, so points are drawn evenly in training, and no other loss is needed than theirs
    and one that keeps the parameters small.

    Args:
        input_shape: channels and stride of each map used, by name.
        parameter_head: as `ConvFCHead` with an output of (parameters of the point head,).
        point_head: as `ImplicitPointHead`.
        roi_pooler_in_features, roi_pooler_size: maps, and the side of the grid, that the parameters are
            predicted from.
        mask_point_in_features: maps that the point head sees.
        mask_point_train_num_points: points of each region in training.
        mask_point_subdivision_steps: how often the side of the masks is doubled at inference.
        mask_point_subdivision_num_points: points predicted anew in each step, and pixels of the first mask:
            a square number.
        regularizer: weight of the mean of the squared parameters, "loss_l2".
    """

    def __init__(
        self,
        *,
        input_shape: Mapping[str, ShapeSpec],
        parameter_head: ConvFCHead,
        point_head: ImplicitPointHead,
        roi_pooler_in_features: Sequence[str] = ("p2",),
        roi_pooler_size: int = 14,
        mask_point_in_features: Sequence[str] = ("p2",),
        mask_point_train_num_points: int = 14 * 14,
        mask_point_subdivision_steps: int = 3,
        mask_point_subdivision_num_points: int = 28 * 28,
        regularizer: float = 1e-5,
    ) -> None:
        side = math.isqrt(mask_point_subdivision_num_points)
        if side**2 != mask_point_subdivision_num_points:
            raise ValueError(
                "ImplicitPointRendMaskHead begins with a mask of mask_point_subdivision_num_points pixels, "
                f"which must be a square number: {side**2} or {(side + 1) ** 2}, not "
                f"{mask_point_subdivision_num_points}"
            )
        if math.prod(parameter_head.output_shape) != point_head.num_params:
            raise ValueError(
                f"the point_head has {point_head.num_params} parameters, but the output_shape of the "
                f"parameter_head is {parameter_head.output_shape}: make it [{point_head.num_params}]"
            )
        super().__init__(
            input_shape=input_shape,
            roi_pooler_in_features=roi_pooler_in_features,
            roi_pooler_size=roi_pooler_size,
            mask_point_in_features=mask_point_in_features,
            subdivision_resolution=side,
            subdivision_steps=mask_point_subdivision_steps,
            subdivision_num_points=mask_point_subdivision_num_points,
        )
        self.mask_point_on = True
        self.point_head = point_head
        self.num_params = point_head.num_params
        self.parameter_head = parameter_head
        self.mask_point_train_num_points = mask_point_train_num_points
        self.regularizer = regularizer

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        masks = self.point_head.num_classes
        return DataNeeds(masks=True, thing_classes=None if masks == 1 else masks)

    def forward(
        self, features: Mapping[str, Tensor], instances: Sequence[Instances]
    ) -> dict[str, Tensor] | Sequence[Instances]:
        """Return what `PointRendMaskHead.forward` does from maps (N, C, H, W), with the losses {"loss_l2",
        "loss_mask_point"}.
        """
        boxes = [x.proposal_boxes if self.training else x.pred_boxes for x in instances]
        parameters = self.parameter_head(self.pool(features, boxes))
        if not self.training:
            self.predict_masks(features, instances, parameters)
            return instances
        points, labels = self.training_points(instances, boxes)
        logits = self.point_logits(features, boxes, points, parameters)
        return {
            "loss_l2": self.regularizer * parameters.float().square().sum() / max(parameters.numel(), 1),
            "loss_mask_point": roi_mask_point_loss(logits, instances, labels),
        }

    def training_points(
        self, instances: Sequence[Instances], boxes: Sequence[Boxes]
    ) -> tuple[Tensor, Tensor]:
        """Draw the points to train on: (R, P, 2) relative to the boxes, and their labels (R, P)."""
        regions = sum(len(x) for x in boxes)
        points = torch.rand(regions, self.mask_point_train_num_points, 2, device=boxes[0].device)
        return points, sample_labels_in_boxes(instances, boxes, points)

    def point_logits(
        self,
        features: Mapping[str, Tensor],
        boxes: Sequence[Boxes],
        points: Tensor,
        representation: Tensor,
    ) -> Tensor:
        """Return (R, K, P) logits of points (R, P, 2), by the network of each region."""
        return self.point_head(self.fine_features(features, boxes, points), points, representation)


def sample_labels_in_boxes(instances: Sequence[Instances], boxes: Sequence[Boxes], points: Tensor) -> Tensor:
    """Read the true masks at points (R, P, 2) relative to the boxes: (R, P) from 0 to 1."""
    rows = torch.cat([x.tensor for x in boxes])
    return sample_point_labels(instances, get_point_coords_wrt_image(rows, points))
