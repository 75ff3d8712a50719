"""What all trackers share: numbers of objects, new ones, and ones that are out of sight for a while."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures import Boxes, Instances, RotatedBoxes, pairwise_iou, pairwise_iou_rotated

__all__ = ["BaseTracker", "OverlapTracker"]


class BaseTracker:
    """Base of trackers: give each object of a video a number that it keeps from frame to frame.

    ::

        tracker = BBoxIOUTracker(video_height=480, video_width=640)
        for frame in video:
            objects = tracker.update(predictor(frame))   # with ID, ID_period and lost_frame_count

    A subclass says in `match` which object of a frame is which of the frame before. One tracker follows one
    video; `reset` starts the next.

    Args:
        video_height, video_width: size of the frames, in pixels.
        max_num_instances: how many objects are remembered for the next frame: those in sight first, by score.
            Others are returned with a new number, too, which is not continued.
        max_lost_frame_count: for how many frames an object that is no longer found is kept, at its last box.
        min_box_rel_dim: an object that is no longer found is not kept if its box is narrower or lower than
            this part of the frame.
        min_instance_period: nor if it was found in no more frames than these.

    Raises:
        ValueError: an argument outside its range.
    """

    def __init__(
        self,
        *,
        video_height: int,
        video_width: int,
        max_num_instances: int = 200,
        max_lost_frame_count: int = 0,
        min_box_rel_dim: float = 0.02,
        min_instance_period: int = 1,
    ) -> None:
        for name, value, least in (
            ("video_height", video_height, 1),
            ("video_width", video_width, 1),
            ("max_num_instances", max_num_instances, 1),
            ("max_lost_frame_count", max_lost_frame_count, 0),
            ("min_instance_period", min_instance_period, 0),
        ):
            if value < least:
                raise ValueError(f"{name}={value}: expected at least {least}")
        if not 0 <= min_box_rel_dim <= 1:
            raise ValueError(f"min_box_rel_dim={min_box_rel_dim}: expected a part of the frame, 0 to 1")
        self.video_height = int(video_height)
        self.video_width = int(video_width)
        self.max_num_instances = max_num_instances
        self.max_lost_frame_count = max_lost_frame_count
        self.min_box_rel_dim = min_box_rel_dim
        self.min_instance_period = min_instance_period
        self.reset()

    def reset(self) -> None:
        """Forget all objects; the next ones are numbered from 0."""
        self._previous: Instances | None = None
        self._id_count = 0

    def match(self, instances: Instances, previous: Instances) -> tuple[np.ndarray, np.ndarray]:
        """Return the P pairs of equal objects: indices (P,) into ``instances``, and (P,) into ``previous``.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError(f"{type(self).__name__} lacks match(instances, previous)")

    def update(self, predictions: Instances) -> Instances:
        """Number the objects of the next frame.

        Args:
            predictions: with ``pred_boxes`` (`Boxes` or `RotatedBoxes`), in pixels of the frame.

        Returns:
            a new `Instances`: the objects given, in their order, then those that are out of sight but kept.
            ``ID``: the number of the object, ``ID_period``: in how many frames it was found,
            ``lost_frame_count``: for how many frames it has not been found; lists of ints.

        Raises:
            ValueError: no ``pred_boxes``, or a frame of another size than the video.
        """
        if not predictions.has("pred_boxes"):
            fields = ", ".join(predictions.get_fields()) or "no fields"
            raise ValueError(f"a tracker needs pred_boxes; got {fields}")
        size = tuple(int(side) for side in predictions.image_size)
        if size != (self.video_height, self.video_width):
            raise ValueError(
                f"predictions of a frame of height {size[0]} and width {size[1]}, but the tracker has "
                f"video_height={self.video_height}, video_width={self.video_width}"
            )
        count, previous = len(predictions), self._previous
        ids, periods = [-1] * count, [1] * count
        kept = None
        if previous is not None and len(previous):
            found, before = (np.asarray(part, dtype=np.int64) for part in self.match(predictions, previous))
            for index, old in zip(found.tolist(), before.tolist(), strict=True):
                ids[index], periods[index] = previous.ID[old], previous.ID_period[old] + 1
            kept = previous[self._still_kept(previous, before)]
            kept.lost_frame_count = [lost + 1 for lost in kept.lost_frame_count]
        for index in range(count):
            if ids[index] < 0:
                ids[index] = self._id_count
                self._id_count += 1
        result = Instances(size, **predictions.get_fields())
        result.ID, result.ID_period, result.lost_frame_count = ids, periods, [0] * count
        if kept is not None and len(kept):
            result = Instances.cat([result, kept])
        self._previous = self._remembered(result)
        return result

    def _still_kept(self, previous: Instances, found: np.ndarray) -> Tensor:
        """Return a mask (N,) of the objects before that are not found now and not yet given up."""
        sizes = box_sizes(previous.pred_boxes)
        smallest = sizes.new_tensor([self.video_width, self.video_height]) * self.min_box_rel_dim
        keep = (sizes >= smallest).all(dim=1).cpu()
        keep &= torch.tensor(previous.lost_frame_count) < self.max_lost_frame_count
        keep &= torch.tensor(previous.ID_period) > self.min_instance_period
        keep[torch.from_numpy(found)] = False
        return keep

    def _remembered(self, result: Instances) -> Instances:
        if len(result) <= self.max_num_instances:
            kept = result[:]
            # A caller may change the lists that it is given, and scale the boxes in place
            kept.pred_boxes = kept.pred_boxes.clone()
            return kept
        scores = result.scores.tolist() if result.has("scores") else [0.0] * len(result)
        order = sorted(range(len(result)), key=lambda i: (result.lost_frame_count[i], -scores[i]))
        return result[sorted(order[: self.max_num_instances])]


class OverlapTracker(BaseTracker):
    """Base of trackers that match boxes by their overlap.

    Args:
        track_iou_threshold: boxes that overlap less are never the same object.

    The other arguments are those of `BaseTracker`.

    Raises:
        ValueError: an argument outside its range.
    """

    def __init__(
        self,
        *,
        video_height: int,
        video_width: int,
        max_num_instances: int = 200,
        max_lost_frame_count: int = 0,
        min_box_rel_dim: float = 0.02,
        min_instance_period: int = 1,
        track_iou_threshold: float = 0.5,
    ) -> None:
        if not 0 < track_iou_threshold <= 1:
            raise ValueError(f"track_iou_threshold={track_iou_threshold}: expected an IoU above 0, at most 1")
        super().__init__(
            video_height=video_height,
            video_width=video_width,
            max_num_instances=max_num_instances,
            max_lost_frame_count=max_lost_frame_count,
            min_box_rel_dim=min_box_rel_dim,
            min_instance_period=min_instance_period,
        )
        self.track_iou_threshold = track_iou_threshold


def box_overlaps(instances: Instances, previous: Instances) -> np.ndarray:
    """Return the IoU (N, M) of the boxes of two frames, upright or rotated."""
    first, second = instances.pred_boxes, previous.pred_boxes
    if isinstance(first, RotatedBoxes):
        return pairwise_iou_rotated(first.tensor, second.tensor).cpu().numpy()
    return pairwise_iou(first, second).cpu().numpy()


def box_sizes(boxes: Boxes | RotatedBoxes) -> Tensor:
    """Return (N, 2): width and height."""
    tensor = boxes.tensor
    return tensor[:, 2:4] if isinstance(boxes, RotatedBoxes) else tensor[:, 2:] - tensor[:, :2]
