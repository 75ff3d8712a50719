"""Heads that classify points, and their loss."""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import ShapeSpec, c2_msra_fill
from lazycfg.modeling.batched_instances import cat_field
from lazycfg.modeling.roi_heads.mask_head import masks_of_classes
from lazycfg.structures import Instances
from lazycfg.utils.events import get_event_storage

__all__ = ["ImplicitPointHead", "StandardPointHead", "roi_mask_point_loss"]

IGNORED = -1


def roi_mask_point_loss(mask_logits: Tensor, instances: Sequence[Instances], point_labels: Tensor) -> Tensor:
    """Mean binary cross-entropy at the points, of the masks of the true classes; 0 of no regions.

    Args:
        mask_logits: (R, K, P), or (R, 1, P) for a class-agnostic head.
        instances: per image, with ``gt_classes``; R in all.
        point_labels: (R, P) from 0 to 1, or -1 for points that do not count. They count in the number that
            the mean is over: a region weighs less that has few points.
    """
    if len(mask_logits) == 0:
        return mask_logits.sum() * 0.0
    logits = masks_of_classes(mask_logits, cat_field(instances, "gt_classes")).float()
    labels = point_labels.to(logits.dtype)
    counted = labels != IGNORED
    record_accuracy(logits, labels, counted)
    loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return torch.where(counted, loss, 0.0).mean()


@torch.no_grad()
def record_accuracy(logits: Tensor, labels: Tensor, counted: Tensor) -> None:
    """Record the share of the points (R, P) that are classified right; foreground are those wholly inside."""
    right = ((logits > 0) == (labels >= 1)) & counted
    get_event_storage().put_scalar("point/accuracy", right.sum() / counted.sum().clamp(min=1))


class StandardPointHead(nn.Module):
    """A small network that classifies each point by itself.

    Its input is what a fine map shows at the point, and what a coarse prediction says of it.

    Args:
        input_shape: its channels are those of the fine features.
        num_classes: channels of the coarse prediction, and classes predicted.
        fc_dims: channels of the layers.
        cls_agnostic_mask: predict one mask for all classes.
        coarse_pred_each_layer: give the coarse prediction to every layer, not to the first alone.
    """

    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        num_classes: int,
        fc_dims: Sequence[int] = (256, 256, 256),
        cls_agnostic_mask: bool = False,
        coarse_pred_each_layer: bool = True,
    ) -> None:
        super().__init__()
        if not input_shape.channels:
            raise ValueError(f"StandardPointHead(input_shape=) needs channels, got {input_shape}")
        self.coarse_pred_each_layer = coarse_pred_each_layer
        self.num_classes = num_classes
        self.fc_layers: list[nn.Module] = []
        channels = input_shape.channels + num_classes
        for k, dim in enumerate(fc_dims, start=1):
            fc = nn.Conv1d(channels, dim, kernel_size=1)
            c2_msra_fill(fc)
            self.add_module(f"fc{k}", fc)
            self.fc_layers.append(fc)
            channels = dim + (num_classes if coarse_pred_each_layer else 0)
        self.predictor = nn.Conv1d(channels, 1 if cls_agnostic_mask else num_classes, kernel_size=1)
        nn.init.normal_(self.predictor.weight, std=0.001)
        nn.init.zeros_(self.predictor.bias)

    def forward(self, fine_grained_features: Tensor, coarse_features: Tensor) -> Tensor:
        """(R, C, P) features and (R, num_classes, P) coarse logits of points -> (R, K, P) logits."""
        x = torch.cat((fine_grained_features, coarse_features), dim=1)
        for layer in self.fc_layers:
            x = F.relu(layer(x))
            if self.coarse_pred_each_layer:
                x = torch.cat((x, coarse_features), dim=1)
        return self.predictor(x)


class ImplicitPointHead(nn.Module):
    """A point head without parameters of its own: those of each object are predicted, and given.

    Its input is what a fine map shows at a point, and where the point is in its box, as sines and cosines of
    random frequencies (arXiv:2006.10739).

    Args:
        input_shape: its channels are those of the fine features.
        num_classes: classes predicted.
        channels: of the layers between.
        num_fc: how many layers there are before the one that predicts.
        cls_agnostic_mask: predict one mask for all classes.
        image_feature_enabled: whether the fine features are looked at.
        positional_encoding_enabled: whether the place is.
        positional_channels: sines and cosines that a place becomes, an even number.
    """

    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        num_classes: int,
        channels: int = 256,
        num_fc: int = 3,
        cls_agnostic_mask: bool = False,
        image_feature_enabled: bool = True,
        positional_encoding_enabled: bool = True,
        positional_channels: int = 256,
    ) -> None:
        super().__init__()
        if not (image_feature_enabled or positional_encoding_enabled):
            raise ValueError(
                "ImplicitPointHead sees nothing of a point: image_feature_enabled and "
                "positional_encoding_enabled are both False"
            )
        if positional_channels % 2:
            raise ValueError(f"positional_channels must be even, got {positional_channels}")
        if image_feature_enabled and not input_shape.channels:
            raise ValueError(f"ImplicitPointHead(input_shape=) needs channels, got {input_shape}")
        self.num_layers = num_fc + 1
        self.channels = channels
        self.image_feature_enabled = image_feature_enabled
        self.positional_encoding_enabled = positional_encoding_enabled
        self.num_classes = 1 if cls_agnostic_mask else num_classes
        self.in_channels = input_shape.channels if image_feature_enabled else 0
        if positional_encoding_enabled:
            self.in_channels += positional_channels
            self.register_buffer(
                "positional_encoding_gaussian_matrix", torch.randn(2, positional_channels // 2)
            )
        sizes = [self.in_channels, *[channels] * num_fc, self.num_classes]
        self.num_weight_params = [i * o for i, o in itertools.pairwise(sizes)]
        self.num_bias_params = sizes[1:]

    @property
    def num_params(self) -> int:
        """Number of parameters of one object."""
        return sum(self.num_weight_params) + sum(self.num_bias_params)

    def forward(self, fine_grained_features: Tensor, point_coords: Tensor, parameters: Tensor) -> Tensor:
        """Classify points with the network of their object.

        Args:
            fine_grained_features: (R, C, P).
            point_coords: (R, P, 2) relative to the boxes.
            parameters: (R, num_params): the weights of all layers, then the biases of all layers.

        Returns:
            (R, num_classes, P) logits.
        """
        inputs = []
        if self.positional_encoding_enabled:
            inputs.append(self.encode_positions(point_coords).to(fine_grained_features.dtype))
        if self.image_feature_enabled:
            inputs.append(fine_grained_features)
        x = torch.cat(inputs, dim=1)
        layers = parameters.split([*self.num_weight_params, *self.num_bias_params], dim=1)
        for k in range(self.num_layers):
            bias = layers[self.num_layers + k]
            weight = layers[k].unflatten(1, (bias.shape[1], x.shape[1]))
            x = torch.baddbmm(bias.unsqueeze(2), weight, x)
            if k < self.num_layers - 1:
                x = F.relu(x)
        return x

    def encode_positions(self, point_coords: Tensor) -> Tensor:
        """(R, P, 2) relative coordinates -> (R, positional_channels, P)."""
        matrix = self.positional_encoding_gaussian_matrix
        # frequencies are high: in half precision the phase would be noise
        with torch.autocast(matrix.device.type, enabled=False):
            phase = 2 * math.pi * ((2.0 * point_coords.float() - 1.0) @ matrix.float())
            return torch.cat((phase.sin(), phase.cos()), dim=2).transpose(1, 2)
