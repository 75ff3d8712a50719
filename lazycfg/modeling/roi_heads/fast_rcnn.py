"""The box predictor of Fast R-CNN (arXiv:1504.08083) and its losses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import ShapeSpec, sigmoid_focal_loss
from lazycfg.structures import Instances
from lazycfg.utils.events import get_event_storage

from ..batched_instances import cat_field
from ..box_regression import BoxCodec, check_box_reg_loss_type, dense_box_regression_loss
from ..data_needs import DataNeeds
from .box_head import flat_size, flatten_regions
from .detections import fast_rcnn_inference
from .fed_loss import get_fed_loss_classes

__all__ = ["FastRCNNOutputLayers", "fast_rcnn_inference"]

Predictions = tuple[Tensor, Tensor]

# The class of regions that have no part in the losses: what `F.cross_entropy` leaves out by itself.
IGNORED = -100


@dataclass(frozen=True)
class MeanOfStages:
    """What a cascade gives to the `inference` of its last box predictor.

    Attributes:
        predictions: those of the last stage, which the boxes are taken from.
        probs: per image (R_i, K + 1) probabilities, the mean of those of all stages.
    """

    predictions: Any
    probs: Sequence[Tensor]


class FastRCNNOutputLayers(nn.Module):
    """Two linear layers on each region's features: class scores and box offsets.

    Args:
        input_shape: of the features of one region (or the number of their values).
        box2box_transform: codec of the offsets.
        num_classes: foreground classes.
        test_score_thresh: detections score more than this.
        test_nms_thresh: of the NMS within each class.
        test_topk_per_image: detections kept of each image; negative for all.
        cls_agnostic_bbox_reg: one box for all classes instead of one for each.
        smooth_l1_beta, box_reg_loss_type: see `dense_box_regression_loss`.
        loss_weight: one number, or by the names "loss_cls", "loss_box_reg".
        use_fed_loss: only some classes count in each step (needs `use_sigmoid_ce`).
        use_sigmoid_ce: binary cross-entropy per class instead of a softmax.
        get_fed_loss_cls_weights: returns (num_classes,) how likely each class is to be drawn; called when
            the loss is first computed, so that a model can be used where the data for training are not.
        fed_loss_num_classes: how many classes count.
        class_weights: of the losses of each class, `num_classes` numbers, or one more for the background
            (which otherwise weighs 1). The loss is a weighted mean of that of the regions; with
            `use_sigmoid_ce` each class's own loss is multiplied instead, and the background has none.
        focal_gamma: exponent of the focal loss (arXiv:1708.02002): regions that are classified well already
            count less; 0 for the plain loss.
        focal_alpha: weight of what is there, 1 - alpha of what is not, in the focal loss with
            `use_sigmoid_ce`; negative for none.

    Attributes:
        cls_score: the linear layer of the K + 1 scores, background last. A subclass may put another module in
            its place after ``super().__init__()``: it takes (R, input size), which `forward` has flattened.
        bbox_pred: the linear layer of the offsets, K * 4 of them, or 4 if class-agnostic.

    Raises:
        ValueError: arguments that do not go together.
    """

    def __init__(
        self,
        input_shape: ShapeSpec | int,
        *,
        box2box_transform: BoxCodec,
        num_classes: int,
        test_score_thresh: float = 0.0,
        test_nms_thresh: float = 0.5,
        test_topk_per_image: int = 100,
        cls_agnostic_bbox_reg: bool = False,
        smooth_l1_beta: float = 0.0,
        box_reg_loss_type: str = "smooth_l1",
        loss_weight: float | Mapping[str, float] = 1.0,
        use_fed_loss: bool = False,
        use_sigmoid_ce: bool = False,
        get_fed_loss_cls_weights: Callable[[], Tensor] | None = None,
        fed_loss_num_classes: int = 50,
        class_weights: Sequence[float] | None = None,
        focal_gamma: float = 0.0,
        focal_alpha: float = -1.0,
    ) -> None:
        super().__init__()
        check_box_reg_loss_type(box_reg_loss_type, box2box_transform)
        self.num_classes = num_classes
        input_size = flat_size(input_shape)
        self.cls_score = nn.Linear(input_size, num_classes + 1)
        self.box_dim = len(getattr(box2box_transform, "weights", (1, 1, 1, 1)))
        self.bbox_pred = nn.Linear(input_size, (1 if cls_agnostic_bbox_reg else num_classes) * self.box_dim)
        nn.init.normal_(self.cls_score.weight, std=0.01)
        nn.init.normal_(self.bbox_pred.weight, std=0.001)
        for layer in (self.cls_score, self.bbox_pred):
            nn.init.zeros_(layer.bias)
        self.box2box_transform = box2box_transform
        self.smooth_l1_beta = smooth_l1_beta
        self.test_score_thresh = test_score_thresh
        self.test_nms_thresh = test_nms_thresh
        self.test_topk_per_image = test_topk_per_image
        self.box_reg_loss_type = box_reg_loss_type
        if not isinstance(loss_weight, Mapping):
            loss_weight = {"loss_cls": loss_weight, "loss_box_reg": loss_weight}
        self.loss_weight = dict(loss_weight)
        self.use_fed_loss = use_fed_loss
        self.use_sigmoid_ce = use_sigmoid_ce
        self.fed_loss_num_classes = fed_loss_num_classes
        self.class_weights: Tensor | None
        weights = _class_weights(class_weights, num_classes, use_sigmoid_ce)
        self.register_buffer("class_weights", weights, persistent=False)
        if not focal_gamma >= 0:
            raise ValueError(f"focal_gamma must be at least 0, got {focal_gamma}")
        if focal_alpha >= 0 and not (use_sigmoid_ce and focal_gamma > 0 and focal_alpha <= 1):
            raise ValueError(
                f"focal_alpha={focal_alpha}: it must be at most 1, and needs focal_gamma above 0 and "
                "use_sigmoid_ce=True"
            )
        self.focal_gamma = focal_gamma
        self.focal_alpha = focal_alpha
        if use_fed_loss:
            if not use_sigmoid_ce:
                raise ValueError("use_fed_loss=True needs use_sigmoid_ce=True")
            if get_fed_loss_cls_weights is None:
                raise ValueError("use_fed_loss=True needs get_fed_loss_cls_weights")
            self.get_fed_loss_cls_weights = get_fed_loss_cls_weights
            self.fed_loss_cls_weights: Tensor
            self.register_buffer("fed_loss_cls_weights", torch.zeros(num_classes))
            self._has_fed_loss_cls_weights = False  # those of a checkpoint are of the data it was trained on

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        return DataNeeds(thing_classes=self.num_classes)

    def forward(self, x: Tensor) -> Predictions:
        """Features (R, ...) -> scores (R, K + 1), background last, and offsets (R, K * 4) or (R, 4)."""
        x = flatten_regions(x)
        return self.cls_score(x), self.bbox_pred(x)

    def losses(self, predictions: Predictions, proposals: Sequence[Instances]) -> dict[str, Tensor]:
        """Return the losses of classes and boxes, for logits (R, K + 1) and offsets (R, K * 4) or (R, 4).

        Args:
            predictions: what `forward` returns for the regions of all images.
            proposals: per image, with ``proposal_boxes``, ``gt_boxes`` and ``gt_classes``.

        Returns:
            "loss_cls" and "loss_box_reg"; 0 if there are no images.
        """
        scores, deltas = predictions
        if not len(proposals):
            return {"loss_cls": scores.sum() * 0.0, "loss_box_reg": deltas.sum() * 0.0}
        gt_classes = cat_field(proposals, "gt_classes")
        log_classification_stats(scores, gt_classes)
        proposal_boxes = cat_field(proposals, "proposal_boxes")
        gt_boxes = torch.cat(
            [(x.gt_boxes if x.has("gt_boxes") else x.proposal_boxes).tensor for x in proposals]
        )
        losses = {
            "loss_cls": self.classification_loss(scores, gt_classes),
            "loss_box_reg": self.box_reg_loss(proposal_boxes, gt_boxes, deltas, gt_classes),
        }
        return {name: loss * self.loss_weight.get(name, 1.0) for name, loss in losses.items()}

    def classification_loss(self, scores: Tensor, gt_classes: Tensor) -> Tensor:
        """Return the loss on the classes alone, the place to put another one: (R, K + 1), (R,) -> scalar.

        Regions of the class `IGNORED` (-100) do not count; there are some in cascades only.
        """
        if self.use_sigmoid_ce:
            return self.sigmoid_cross_entropy_loss(scores, gt_classes)
        if self.focal_gamma > 0 or self.class_weights is not None:
            return weighted_softmax_loss(scores, gt_classes, self.class_weights, self.focal_gamma)
        return softmax_cross_entropy_loss(scores, gt_classes)

    def sigmoid_cross_entropy_loss(self, pred_class_logits: Tensor, gt_classes: Tensor) -> Tensor:
        """Sum over classes of the binary cross-entropies, mean over regions: (R, K + 1), (R,) -> scalar."""
        if gt_classes.numel() == 0:
            return pred_class_logits.sum() * 0.0
        counted = gt_classes != IGNORED
        classes = torch.arange(self.num_classes, device=gt_classes.device)
        target = (gt_classes[:, None] == classes).to(pred_class_logits.dtype)
        logits = pred_class_logits[:, :-1]
        if self.focal_gamma > 0:
            loss = sigmoid_focal_loss(logits, target, alpha=self.focal_alpha, gamma=self.focal_gamma)
        else:
            loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        if self.class_weights is not None:
            loss = loss * self.class_weights
        if self.use_fed_loss:
            occurring = torch.where(counted, gt_classes, self.num_classes)
            if not self._has_fed_loss_cls_weights:
                self._set_fed_loss_cls_weights()
            drawn = get_fed_loss_classes(
                occurring, self.fed_loss_num_classes, self.num_classes, self.fed_loss_cls_weights
            )
            loss = loss * drawn[:-1]
        return torch.where(counted[:, None], loss, 0.0).sum() / counted.sum().clamp(min=1)

    def _set_fed_loss_cls_weights(self) -> None:
        weights = torch.as_tensor(self.get_fed_loss_cls_weights(), dtype=torch.float32)
        if weights.shape != (self.num_classes,):
            raise ValueError(
                f"get_fed_loss_cls_weights gives shape {tuple(weights.shape)} for {self.num_classes} classes"
            )
        self.fed_loss_cls_weights.copy_(weights)
        self._has_fed_loss_cls_weights = True

    def box_reg_loss(
        self, proposal_boxes: Tensor, gt_boxes: Tensor, pred_deltas: Tensor, gt_classes: Tensor
    ) -> Tensor:
        """Box loss of the foreground, divided by the number of *all* regions: each box weighs the same,
        whether its image has many objects or few.

        Args:
            proposal_boxes, gt_boxes: (R, 4); pred_deltas: (R, K * 4) or (R, 4); gt_classes: (R,).
        """
        foreground = (gt_classes >= 0) & (gt_classes < self.num_classes)
        if pred_deltas.shape[1] != self.box_dim:
            of_class = torch.where(foreground, gt_classes, 0)[:, None, None].expand(-1, 1, self.box_dim)
            pred_deltas = pred_deltas.unflatten(1, (self.num_classes, self.box_dim)).gather(1, of_class)[:, 0]
        loss = dense_box_regression_loss(
            proposal_boxes,
            self.box2box_transform,
            pred_deltas,
            gt_boxes,
            foreground,
            box_reg_loss_type=self.box_reg_loss_type,
            smooth_l1_beta=self.smooth_l1_beta,
        )
        return loss / (gt_classes != IGNORED).sum().clamp(min=1)

    def inference(
        self, predictions: Predictions | MeanOfStages, proposals: Sequence[Instances]
    ) -> tuple[list[Instances], list[Tensor]]:
        """Return the detections of `predict_boxes` and `predict_probs`, and for each image the (K,) rows of
        its proposals that they come from.

        Args:
            predictions: what `forward` returns for the regions of all images; from a cascade `MeanOfStages`.
            proposals: per image, with ``proposal_boxes``.

        Returns:
            As `fast_rcnn_inference`: per image `Instances`, and the proposals they come from.
        """
        boxes, probs = self.boxes_and_probs(predictions, proposals)
        return fast_rcnn_inference(
            boxes,
            probs,
            [x.image_size for x in proposals],
            self.test_score_thresh,
            self.test_nms_thresh,
            self.test_topk_per_image,
            box_dim=self.box_dim,
        )

    def boxes_and_probs(
        self, predictions: Predictions | MeanOfStages, proposals: Sequence[Instances]
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Return `predict_boxes` and `predict_probs` of each image: (R_i, K * 4) or (R_i, 4), and
        (R_i, K + 1); arguments as for `inference`.
        """
        if isinstance(predictions, MeanOfStages):
            return self.predict_boxes(predictions.predictions, proposals), predictions.probs
        return self.predict_boxes(predictions, proposals), self.predict_probs(predictions, proposals)

    def predict_boxes(self, predictions: Predictions, proposals: Sequence[Instances]) -> tuple[Tensor, ...]:
        """Boxes of each image: (R_i, K * 4) XYXY, or (R_i, 4) if class-agnostic."""
        if not len(proposals):
            return ()
        boxes = self.box2box_transform.apply_deltas(predictions[1], cat_field(proposals, "proposal_boxes"))
        return boxes.split([len(x) for x in proposals])

    def predict_boxes_for_gt_classes(
        self, predictions: Predictions, proposals: Sequence[Instances]
    ) -> tuple[Tensor, ...]:
        """Boxes of each image for the true class of each proposal, (R_i, 4); any class's for background."""
        if not len(proposals):
            return ()
        boxes = self.box2box_transform.apply_deltas(predictions[1], cat_field(proposals, "proposal_boxes"))
        if boxes.shape[1] != self.box_dim:
            classes = cat_field(proposals, "gt_classes").clamp(0, self.num_classes - 1)
            rows = torch.arange(len(classes), device=classes.device)
            boxes = boxes.unflatten(1, (self.num_classes, self.box_dim))[rows, classes]
        return boxes.split([len(x) for x in proposals])

    def predict_probs(self, predictions: Predictions, proposals: Sequence[Instances]) -> tuple[Tensor, ...]:
        """Probabilities of each image: (R_i, K + 1), background last."""
        if not len(proposals):
            return ()
        scores = predictions[0].float()
        probs = scores.sigmoid() if self.use_sigmoid_ce else F.softmax(scores, dim=-1)
        return probs.split([len(x) for x in proposals])


def softmax_cross_entropy_loss(scores: Tensor, gt_classes: Tensor) -> Tensor:
    """Return the mean cross-entropy of the regions that count, of scores (R, K + 1) and classes (R,); 0 of
    none.
    """
    if gt_classes.numel() == 0:
        return scores.sum() * 0.0
    loss = F.cross_entropy(scores, gt_classes, ignore_index=IGNORED, reduction="sum")
    return loss / (gt_classes != IGNORED).sum().clamp(min=1)


def weighted_softmax_loss(
    scores: Tensor, gt_classes: Tensor, class_weights: Tensor | None, focal_gamma: float
) -> Tensor:
    """Weighted mean of the cross-entropies of the regions that count, less for those that are right already.

    Args:
        scores: (R, K + 1) logits.
        gt_classes: (R,); those of the class `IGNORED` do not count.
        class_weights: (K + 1,), or None for equal weights.
        focal_gamma: exponent of 1 - p, for the probability p of the true class.

    Returns:
        scalar; 0 of no regions.
    """
    if gt_classes.numel() == 0:
        return scores.sum() * 0.0
    loss = F.cross_entropy(scores.float(), gt_classes, ignore_index=IGNORED, reduction="none")
    counted = gt_classes != IGNORED
    weights = counted.to(loss.dtype)
    if class_weights is not None:
        weights = weights * class_weights[torch.where(counted, gt_classes, 0)]
    if focal_gamma > 0:
        # At 0 the gradient of the power has no bound for an exponent below 1
        loss = loss * (1 - torch.exp(-loss)).clamp(min=1e-12) ** focal_gamma
    return (loss * weights).sum() / weights.sum().clamp(min=1e-6)


def _class_weights(weights: Sequence[float] | None, num_classes: int, use_sigmoid_ce: bool) -> Tensor | None:
    """Return (K + 1,) weights for a softmax, (K,) for sigmoids, or None."""
    if weights is None:
        return None
    tensor = torch.as_tensor(weights, dtype=torch.float32)
    lengths = [num_classes] if use_sigmoid_ce else [num_classes, num_classes + 1]
    if tensor.ndim != 1 or len(tensor) not in lengths:
        raise ValueError(
            f"class_weights has the shape {tuple(tensor.shape)}: expected "
            f"{' or '.join(map(str, lengths))} numbers for {num_classes} classes"
            + ("" if use_sigmoid_ce else " (one more for the background)")
        )
    if not (torch.isfinite(tensor).all() and (tensor >= 0).all() and tensor.any()):
        raise ValueError(f"class_weights must be finite, at least 0 and not all 0, got {tensor.tolist()}")
    if len(tensor) == num_classes and not use_sigmoid_ce:
        tensor = torch.cat((tensor, tensor.new_ones(1)))
    return tensor


@torch.no_grad()
def log_classification_stats(pred_logits: Tensor, gt_classes: Tensor, prefix: str = "fast_rcnn") -> None:
    """Record the accuracy of (R, K + 1) logits, that on the foreground, and the foreground missed."""
    if gt_classes.numel() == 0:
        return
    predicted = pred_logits.argmax(dim=1)
    background = pred_logits.shape[1] - 1
    foreground = (gt_classes >= 0) & (gt_classes < background)
    right = predicted == gt_classes
    num_foreground = foreground.sum().clamp(min=1)
    num_counted = (gt_classes != IGNORED).sum().clamp(min=1)
    storage = get_event_storage()
    storage.put_scalar(f"{prefix}/cls_accuracy", right.sum() / num_counted)
    storage.put_scalar(f"{prefix}/fg_cls_accuracy", (right & foreground).sum() / num_foreground)
    missed = (foreground & (predicted == background)).sum()
    storage.put_scalar(f"{prefix}/false_negative", missed / num_foreground)
