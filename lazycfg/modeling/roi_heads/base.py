"""What all heads on regions share: matching and sampling proposals."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from lazycfg.structures import ImageList, Instances
from lazycfg.utils.events import get_event_storage

from ..batched_instances import cat_field, check_batch, select_rows
from ..data_needs import DataNeeds
from ..ground_truth import GroundTruth
from ..matcher import Matcher
from ..padding import pad_rows
from ..proposal_generator.proposal_utils import add_ground_truth_to_proposals
from ..sampling import sample_labels
from ..transfer import upload

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
        """Sample proposals and compute losses in training, else detect objects.

        Args:
            images: what the maps were made of.
            features: maps by name, (N, C, H_i, W_i).
            proposals: per image, with ``proposal_boxes`` and ``objectness_logits``.
            targets: per image the ground truth; needed in training.

        Returns:
            In training the sampled proposals and the losses; at inference the detections and no losses.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    @torch.compiler.disable
    @torch.no_grad()
    def label_and_sample_proposals(
        self, proposals: Sequence[Instances], targets: Sequence[Instances]
    ) -> list[Instances]:
        """Match proposals to the ground truth and draw the sample to train on.

        The device is waited for once: what was drawn is read, so that all that follows works on exact lists.

        Args:
            proposals: per image, with ``proposal_boxes`` (and ``objectness_logits``); further fields stay.
            targets: per image the ground truth, with ``gt_boxes`` and ``gt_classes``.

        Returns:
            Per image `Instances` with the fields of the proposals, ``gt_classes`` (`num_classes` for
            background) and, where the image has objects, the other ``gt_`` fields of the object that each is
            matched to; foreground first.
        """
        check_batch(proposals, len(targets), "the proposals")
        if not len(proposals):
            return []
        if self.proposal_append_gt:
            proposals = add_ground_truth_to_proposals(targets, proposals)
        counts = [len(x) for x in proposals]
        rows = cat_field(proposals, "proposal_boxes")
        gt = GroundTruth(targets, rows.device)
        boxes, valid = pad_rows(rows, counts)
        matches, labels = self.match(boxes, gt)
        # an image of the batch may have no objects
        labels = labels.masked_fill(~gt.valid.any(dim=1, keepdim=True), 0).masked_fill(~valid, -1)
        index, classes = self._sample_proposals(matches, labels, gt.classes)

        table = torch.stack((index, classes, matches.gather(1, index)))
        host_index, host_classes, host_matches = table.cpu().numpy()
        drawn = host_classes != -1
        foreground = drawn & (host_classes >= 0) & (host_classes != self.num_classes)
        storage = get_event_storage()
        storage.put_scalar("roi_head/num_fg_samples", foreground.sum() / len(drawn))
        storage.put_scalar("roi_head/num_bg_samples", (drawn & ~foreground).sum() / len(drawn))

        sampled = select_rows(proposals, [own[kept] for own, kept in zip(host_index, drawn, strict=True)])
        where = upload(drawn.ravel().nonzero()[0], classes.device, torch.int64)
        for x, of_image in zip(sampled, classes.flatten()[where].split(drawn.sum(1).tolist()), strict=True):
            x.gt_classes = of_image
        matched = [own[kept] for own, kept in zip(host_matches, drawn, strict=True)]
        set_matched_fields(sampled, targets, matched)
        return sampled

    def _sample_proposals(
        self, matched_idxs: Tensor, matched_labels: Tensor, gt_classes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draw the proposals of each image to train on, at random.

        Args:
            matched_idxs: (B, N) int64, the object that each proposal is matched to.
            matched_labels: (B, N): 1 matched, 0 background, -1 ignored (padding, too).
            gt_classes: (B, M) int64 classes of the objects, padded.

        Returns:
            sampled_idxs (B, S) int64 into the N proposals, foreground first; and their classes (B, S):
            `num_classes` for background, -1 for rows that are no samples.
        """
        if gt_classes.shape[1] == 0:
            classes = torch.full_like(matched_idxs, self.num_classes)
        else:
            classes = gt_classes.gather(1, matched_idxs).masked_fill(matched_labels == 0, self.num_classes)
        classes = classes.masked_fill(matched_labels == -1, -1)
        index, positive, negative = sample_labels(
            classes, self.batch_size_per_image, self.positive_fraction, bg_label=self.num_classes
        )
        return index, classes.gather(1, index).masked_fill(~(positive | negative), -1)

    def match(self, boxes: Tensor, gt: GroundTruth) -> tuple[Tensor, Tensor]:
        """Match boxes (B, N, 4) to the ground truth: the object (B, N) of each, and its label (B, N)."""
        return self.proposal_matcher.match_boxes(gt.boxes, gt.valid, boxes)


def set_matched_fields(
    sampled: Sequence[Instances], targets: Sequence[Instances], matches: Sequence[np.ndarray]
) -> None:
    """Give each proposal the further ``gt_`` fields of the object it is matched to, if its image has any;
    `matches` are (K,) indices for each image.

    Args:
        matches: per image the object of each of its proposals.
    """
    truth = []
    for x in targets:
        fields = {k: v for k, v in x.get_fields().items() if k.startswith("gt_") and k != "gt_classes"}
        truth.append(Instances(x.image_size, **(fields if len(x) else {})))
    rows = [own if len(x) else own[:0] for x, own in zip(truth, matches, strict=True)]
    for x, matched in zip(sampled, select_rows(truth, rows), strict=True):
        for name, value in matched.get_fields().items():
            if not x.has(name):
                x.set(name, value)
