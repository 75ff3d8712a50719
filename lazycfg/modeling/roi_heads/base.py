"""What all heads on regions share: matching and sampling proposals."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lazycfg.structures import ImageList, Instances
from lazycfg.utils.events import get_event_storage

from ..data_needs import DataNeeds
from ..matcher import Matcher
from ..padded import GroundTruth, PaddedProposals, split_instances, upload
from ..proposal_generator.proposal_utils import with_ground_truth
from ..sampling import sample_labels
from .sampled import SampledProposals, is_tensor_field

__all__ = ["ROIHeads"]


class ROIHeads(nn.Module):
    """Base of the heads that look at regions: labels proposals and draws the ones to train on.

    Args:
        num_classes: foreground classes; the background has the label `num_classes`.
        batch_size_per_image: proposals of an image to train on.
        positive_fraction: at most this share of them is foreground.
        proposal_matcher: labels proposals by their IoU with the ground truth.
        proposal_append_gt: whether the ground truth boxes are proposals too, in training.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        batch_size_per_image: int,
        positive_fraction: float,
        proposal_matcher: Matcher,
        proposal_append_gt: bool = True,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.batch_size_per_image = batch_size_per_image
        self.positive_fraction = positive_fraction
        self.proposal_matcher = proposal_matcher
        self.proposal_append_gt = proposal_append_gt

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        return DataNeeds(thing_classes=self.num_classes)

    def forward(
        self,
        images: ImageList,
        features: Mapping[str, Tensor],
        proposals: Sequence[Instances],
        targets: Sequence[Instances] | None = None,
    ) -> tuple[list[Instances], dict[str, Tensor]]:
        """
        Args:
            images: what the maps were made of.
            features: maps by name, (N, C, H_i, W_i).
            proposals: per image, with ``proposal_boxes`` and ``objectness_logits``.
            targets: per image the ground truth; needed in training.

        Returns:
            In training the sampled proposals and the losses; at inference the detections and no losses.
        """
        raise NotImplementedError

    @torch.compiler.disable
    @torch.no_grad()
    def label_and_sample_proposals(
        self, proposals: Sequence[Instances], targets: Sequence[Instances]
    ) -> SampledProposals:
        """Match proposals to the ground truth and draw the sample to train on.

        This is the one place of a training step where the heads wait for the device: the sizes of the samples
        are read, so that all that follows works on exact lists.

        Returns:
            Per image `Instances` with ``proposal_boxes``, ``objectness_logits``, ``gt_classes``
            (`num_classes` for background), ``gt_boxes`` and the other ``gt_`` fields that are
            tensors; foreground first.

        Raises:
            FloatingPointError: the predictions that the proposals come from were not finite.
        """
        padded = PaddedProposals.from_instances(proposals)
        device = padded.boxes.device
        gt = GroundTruth(targets, device)
        boxes, logits, valid = padded.boxes, padded.logits, padded.valid
        if self.proposal_append_gt:
            boxes, logits, valid = with_ground_truth(padded, gt)
        matches, classes = self.label(boxes, valid, gt)
        index, positive, negative = sample_labels(
            classes, self.batch_size_per_image, self.positive_fraction, bg_label=self.num_classes
        )
        matches = matches.gather(1, index)

        most = min(int(self.batch_size_per_image * self.positive_fraction), boxes.shape[1])
        finite = logits.new_ones(()) if padded.finite is None else padded.finite
        table = [positive.sum(1, keepdim=True), negative.sum(1, keepdim=True), matches[:, :most]]
        visible = self.visible_keypoints(gt, boxes, index[:, :most], matches[:, :most])
        if visible is not None:
            table.append(visible)
        flags = finite.to(torch.int64).expand(len(padded), 1)
        host = torch.cat([flags, *table], dim=1).tolist()
        if not all(row[0] for row in host):
            raise FloatingPointError(
                "the proposal generator predicted boxes or scores that are infinite or NaN: training has "
                "diverged (a lower learning rate, a longer warm-up or gradient clipping may help)"
            )
        foreground = [row[1] for row in host]
        background = [row[2] for row in host]
        counts = [a + b for a, b in zip(foreground, background, strict=True)]
        storage = get_event_storage()
        storage.put_scalar("roi_head/num_fg_samples", sum(foreground) / len(host))
        storage.put_scalar("roi_head/num_bg_samples", sum(background) / len(host))

        # The rows that are samples: both kinds stand at the front of their half.
        width = index.shape[1]
        rows = [
            row
            for b, (f, g) in enumerate(zip(foreground, background, strict=True))
            for row in (*range(b * width, b * width + f), *range(b * width + most, b * width + most + g))
        ]
        row = upload(rows, device, torch.int64)
        image = torch.div(row, max(width, 1), rounding_mode="floor")
        flat = image * boxes.shape[1] + index.flatten()[row]
        chosen = boxes.flatten(0, 1)[flat]
        fields = {
            "proposal_boxes": chosen,
            "objectness_logits": logits.flatten()[flat],
            "gt_classes": classes.flatten()[flat],
        }
        if sum(gt.counts) > 0:
            match = matches.flatten()[row]
            # an image without objects: its background rows stand for themselves
            own = gt.boxes.flatten(0, 1)[image * gt.boxes.shape[1] + match]
            has_any = gt.valid.any(dim=1)[image].unsqueeze(1)
            fields["gt_boxes"] = torch.where(has_any, own.to(chosen.dtype), chosen)
        else:
            fields["gt_boxes"] = chosen
        box_class = padded.box_class
        instances = split_instances(padded.image_sizes, counts, fields, box_class=box_class)
        if sum(gt.counts) > 0:
            set_matched_fields(instances, gt, image, match)
        return SampledProposals(
            instances,
            foreground_counts=foreground,
            gt=gt,
            matches=[row[3 : 3 + f] for row, f in zip(host, foreground, strict=True)],
            visible=None
            if visible is None
            else [row[3 + most : 3 + most + f] for row, f in zip(host, foreground, strict=True)],
        )

    def visible_keypoints(
        self, gt: GroundTruth, boxes: Tensor, index: Tensor, matches: Tensor
    ) -> Tensor | None:
        """(B, S) whether a sample has a visible keypoint, to be read with its size; None where nobody asks.

        Args:
            boxes: (B, N, 4); index, matches: (B, S) into them and into the objects.
        """
        return None

    def label(self, boxes: Tensor, valid: Tensor, gt: GroundTruth) -> tuple[Tensor, Tensor]:
        """Matched ground truth and class of each proposal.

        Args:
            boxes: (B, N, 4); valid: (B, N) bool.

        Returns:
            matches (B, N) int64, and classes (B, N) int64: `num_classes` for background, -1 for ignored.
        """
        matches, labels = self.match(boxes, gt)
        if gt.classes.shape[1] == 0:
            classes = torch.full(matches.shape, self.num_classes, dtype=torch.int64, device=boxes.device)
        else:
            classes = gt.classes.gather(1, matches).masked_fill(labels == 0, self.num_classes)
            classes = classes.masked_fill(labels == -1, -1)
            # an image of the batch may have no objects
            classes = classes.masked_fill(~gt.valid.any(dim=1, keepdim=True), self.num_classes)
        return matches, classes.masked_fill(~valid, -1)

    def match(self, boxes: Tensor, gt: GroundTruth) -> tuple[Tensor, Tensor]:
        """The matcher's verdict on boxes (B, N, 4): matches and labels, each (B, N)."""
        return self.proposal_matcher.match_boxes(gt.boxes, gt.valid, boxes)


def set_matched_fields(instances: Sequence[Instances], gt: GroundTruth, image: Tensor, match: Tensor) -> None:
    """Give each proposal the further ``gt_`` tensors of the object it is matched to.

    Args:
        instances: of each image, R in all.
        image: (R,) int64; match: (R,) int64, the object within the image.
    """
    annotated = [x for x in gt.instances if len(x)]  # the others may lack what there is nothing of
    names = [name for name in annotated[0].get_fields() if name.startswith("gt_")]
    names = [name for name in names if name not in ("gt_boxes", "gt_classes")]
    counts = [len(x) for x in instances]
    total = sum(gt.counts)
    start = upload([sum(gt.counts[:b]) for b in range(len(gt.counts))], match.device, torch.int64)
    index = (start[image] + match).clamp(max=total - 1)
    for name in names:
        values = [x.get(name) for x in annotated if x.has(name)]
        if len(values) != len(annotated) or not all(is_tensor_field(value) for value in values):
            continue
        tensor = torch.cat([v if isinstance(v, Tensor) else v.tensor for v in values])
        parts = tensor.to(match.device, non_blocking=True)[index].split(counts)
        for x, part in zip(instances, parts, strict=True):
            x.set(name, part if isinstance(values[0], Tensor) else type(values[0])(part))
