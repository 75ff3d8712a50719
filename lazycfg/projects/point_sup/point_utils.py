"""Annotated points, as the heads take them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lazycfg.modeling.batched_instances import cat_field
from lazycfg.structures import Instances

__all__ = ["get_point_coords_from_point_annotation", "get_point_coords_wrt_box"]


@torch.no_grad()
def get_point_coords_wrt_box(boxes_coords: Tensor, point_coords: Tensor) -> Tensor:
    """Bring points from the image into boxes: (R, 4) XYXY and (R, P, 2) absolute -> (R, P, 2) relative. Of a
    box without size they are no numbers.
    """
    corner, far = boxes_coords[:, None, :2], boxes_coords[:, None, 2:]
    return (point_coords - corner) / (far - corner)


@torch.no_grad()
def get_point_coords_from_point_annotation(instances: Sequence[Instances]) -> tuple[Tensor, Tensor]:
    """Return the annotated points of the foreground, relative to the proposals, and their labels.

    Args:
        instances: per image, with ``proposal_boxes``, ``gt_point_coords`` (R_i, P, 2) in pixels and
            ``gt_point_labels`` (R_i, P): 1 on the object, 0 beside it, -1 to be ignored.

    Returns:
        (R, P, 2) float32; and (R, P) float32, -1 for the points outside of their proposal, too.

    Raises:
        ValueError: the ground truth has no points, or not the same number in all images.
    """
    filled = [x for x in instances if len(x)]
    if not filled:
        return torch.zeros(0, 1, 2), torch.zeros(0, 1)
    for x in filled:
        if not (x.has("gt_point_coords") and x.has("gt_point_labels")):
            raise ValueError(
                "the mask head is trained on points, 'gt_point_coords' and 'gt_point_labels' of the ground "
                f"truth, which has {sorted(x.get_fields())}. PointSupDatasetMapper gives them: "
                "dataloader.train.mapper=@lazycfg.projects.point_sup.PointSupDatasetMapper"
            )
    numbers = sorted({x.gt_point_coords.shape[1] for x in filled})
    if len(numbers) > 1:
        raise ValueError(
            f"objects have {numbers[0]} points in one image of the batch and {numbers[-1]} in another. Let "
            "the mapper draw the same number of each: dataloader.train.mapper.sample_points=5"
        )
    points = cat_field(filled, "gt_point_coords").float()
    coords = get_point_coords_wrt_box(cat_field(filled, "proposal_boxes").float(), points)
    labels = cat_field(filled, "gt_point_labels").float()
    inside = ((coords >= 0) & (coords <= 1)).all(dim=2)
    # What is outside, or no number, is not looked at
    return torch.where(inside.unsqueeze(2), coords, -1.0), torch.where(inside, labels, -1.0)
