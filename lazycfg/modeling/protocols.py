"""What the replaceable parts of a detector must be able to do. Any module that does is accepted: nothing has
to be registered or inherited.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from lazycfg.structures import ImageList, Instances

__all__ = ["BoxHead", "BoxPredictor", "MaskHead", "ProposalGenerator", "RegionHeads", "RegionPooler"]


class ProposalGenerator(Protocol):
    """As `RPN`."""

    def __call__(
        self,
        images: ImageList,
        features: Mapping[str, Tensor],
        gt_instances: Sequence[Instances] | None = None,
    ) -> tuple[Sequence[Instances], dict[str, Tensor]]:
        """Return `Instances` with ``proposal_boxes`` and ``objectness_logits`` for each image, and losses."""
        ...


class RegionHeads(Protocol):
    """As `ROIHeads`."""

    def __call__(
        self,
        images: ImageList,
        features: Mapping[str, Tensor],
        proposals: Sequence[Instances],
        targets: Sequence[Instances] | None = None,
    ) -> tuple[Sequence[Instances], dict[str, Tensor]]:
        """Return the detections of each image (in training the sampled proposals), and training losses."""
        ...

    def forward_with_given_boxes(
        self, features: Mapping[str, Tensor], instances: Sequence[Instances]
    ) -> Sequence[Instances]:
        """Fill in all but the boxes of instances with ``pred_boxes`` and ``pred_classes``. The maps are (N,
        C, H, W).
        """
        ...


class RegionPooler(Protocol):
    """As `ROIPooler`."""

    def __call__(self, x: Sequence[Tensor], box_lists: Sequence[Any]) -> Tensor:
        """Map (N, C, H_i, W_i) and the boxes of N images, R in all, to (R, C, h, w)."""
        ...


class BoxHead(Protocol):
    """As `FastRCNNConvFCHead`."""

    def __call__(self, x: Tensor) -> Tensor:
        """Map (R, C, h, w) to features of each region."""
        ...


class BoxPredictor(Protocol):
    """As `FastRCNNOutputLayers`."""

    def __call__(self, x: Tensor) -> Any:
        """Map the features of R regions to predictions, in the form that `losses` and `inference` take."""
        ...

    def losses(self, predictions: Any, proposals: Sequence[Instances]) -> dict[str, Tensor]:
        """Return the losses by name, for proposals with ``gt_classes`` and ``gt_boxes``. Each has the shape
        ().
        """
        ...

    def inference(
        self, predictions: Any, proposals: Sequence[Instances]
    ) -> tuple[Sequence[Instances], Sequence[Tensor]]:
        """Return for each image the detections, and the (K,) indices of the proposals they come from."""
        ...


class MaskHead(Protocol):
    """As `MaskRCNNConvUpsampleHead`; a keypoint head is of the same kind."""

    def __call__(self, x: Any, instances: Sequence[Instances]) -> Any:
        """Return the losses by name in training; at inference the instances with further fields."""
        ...
