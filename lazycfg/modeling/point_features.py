"""Sampling maps and masks at points (PointRend, arXiv:1912.08193): where to look, and what is there.

Points are (x, y). Relative ones lie in [0, 1] x [0, 1] of a map or a box; absolute ones are in pixels of the
network's input. A pixel's centre is at half its size.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.structures import BitMasks, Boxes, Instances

from .padding import pad_bitmasks, pad_rows, rows_of_images
from .transfer import upload

__all__ = [
    "check_point_sampling",
    "generate_regular_grid_point_coords",
    "get_point_coords_wrt_image",
    "get_uncertain_point_coords_on_grid",
    "get_uncertain_point_coords_with_randomness",
    "point_sample",
    "point_sample_fine_grained_features",
    "sample_point_labels",
]

# A point far outside of every map: it is read as 0 and costs the kernel nothing.
NOWHERE = -1e4


def point_sample(
    input: Tensor,
    point_coords: Tensor,
    *,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> Tensor:
    """Read maps at points, as `torch.nn.functional.grid_sample` does, with coordinates in [0, 1].

    Args:
        input: (N, C, H, W). Maps in half precision are sampled in single.
        point_coords: relative, (N, P, 2) or (N, h, w, 2).
        mode, padding_mode, align_corners: see `grid_sample`.

    Returns:
        (N, C, P) or (N, C, h, w), of the dtype of `input`.
    """
    flat = point_coords.dim() == 3
    grid = 2.0 * (point_coords.unsqueeze(2) if flat else point_coords) - 1.0
    dtype = torch.promote_types(input.dtype, torch.promote_types(grid.dtype, torch.float32))
    output = F.grid_sample(
        input.to(dtype), grid.to(dtype), mode=mode, padding_mode=padding_mode, align_corners=align_corners
    ).to(input.dtype)
    return output.squeeze(3) if flat else output


def generate_regular_grid_point_coords(R: int, side_size: int, device: torch.device | str) -> Tensor:
    """Return the centres of the cells of a square grid, (R, side_size^2, 2) relative, x running fastest."""
    steps = (torch.arange(side_size, device=device, dtype=torch.float32) + 0.5) / side_size
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return torch.stack((x, y), dim=2).view(1, side_size * side_size, 2).expand(R, -1, -1)


def check_point_sampling(oversample_ratio: float, importance_sample_ratio: float) -> None:
    """Raise ValueError for ratios that `get_uncertain_point_coords_with_randomness` cannot take."""
    if oversample_ratio < 1:
        raise ValueError(f"oversample_ratio must be at least 1, got {oversample_ratio}")
    if not 0 <= importance_sample_ratio <= 1:
        raise ValueError(f"importance_sample_ratio must be in [0, 1], got {importance_sample_ratio}")


@torch.no_grad()
def get_uncertain_point_coords_with_randomness(
    coarse_logits: Tensor,
    uncertainty_func: Callable[[Tensor], Tensor],
    num_points: int,
    oversample_ratio: float,
    importance_sample_ratio: float,
) -> Tensor:
    """Draw points for training, most of them where the prediction is uncertain (section 3.1 of the paper).

    More points than needed are drawn evenly, the most uncertain of them are taken, and the rest is drawn
    evenly again.

    Args:
        coarse_logits: (N, C, H, W) or (N, 1, H, W).
        uncertainty_func: (N, C, P) logits at points -> (N, 1, P), large where they are uncertain.
        num_points: points of each map.
        oversample_ratio: so many times as many are drawn to choose from, at least 1.
        importance_sample_ratio: share of the points that are chosen by uncertainty, in [0, 1].

    Returns:
        (N, num_points, 2) relative.
    """
    check_point_sampling(oversample_ratio, importance_sample_ratio)
    n, device = len(coarse_logits), coarse_logits.device
    coords = torch.rand(n, int(num_points * oversample_ratio), 2, device=device)
    # The uncertainty at a point is that of the logits there, not what is between the uncertainties of pixels.
    uncertainty = uncertainty_func(point_sample(coarse_logits, coords))
    num_uncertain = int(importance_sample_ratio * num_points)
    index = uncertainty[:, 0].topk(num_uncertain, dim=1).indices
    chosen = coords.gather(1, index.unsqueeze(2).expand(-1, -1, 2))
    if num_uncertain == num_points:
        return chosen
    rest = torch.rand(n, num_points - num_uncertain, 2, device=device)
    return torch.cat((chosen, rest), dim=1)


def get_uncertain_point_coords_on_grid(uncertainty_map: Tensor, num_points: int) -> tuple[Tensor, Tensor]:
    """Find the most uncertain pixels.

    Args:
        uncertainty_map: (R, 1, H, W).
        num_points: how many; all if there are fewer.

    Returns:
        (R, P) int64, pixels by their number in row-major order; and (R, P, 2) their centres, relative.
    """
    r, _, height, width = uncertainty_map.shape
    index = uncertainty_map.reshape(r, height * width).topk(min(height * width, num_points), dim=1).indices
    x = ((index % width).float() + 0.5) / width
    y = (index.div(width, rounding_mode="floor").float() + 0.5) / height
    return index, torch.stack((x, y), dim=2)


@torch.no_grad()
def get_point_coords_wrt_image(boxes_coords: Tensor, point_coords: Tensor) -> Tensor:
    """Bring points from boxes to the image: (R, 4) XYXY and (R, P, 2) relative -> (R, P, 2) absolute."""
    corner, far = boxes_coords[:, None, :2], boxes_coords[:, None, 2:]
    return point_coords * (far - corner) + corner


def point_sample_fine_grained_features(
    features_list: Sequence[Tensor],
    feature_scales: Sequence[float],
    boxes: Sequence[Boxes],
    point_coords: Tensor,
) -> tuple[Tensor, Tensor]:
    """Read the maps of the images at points of boxes.

    Args:
        features_list: maps (N, C_i, H_i, W_i).
        feature_scales: of each map, 1 / stride.
        boxes: of each of the N images, in pixels of the network's input; R in all.
        point_coords: (R, P, 2) relative to the boxes.

    Returns:
        (R, sum of C_i, P); and (R, P, 2) the points, absolute.
    """
    counts = [len(x) for x in boxes]
    absolute = get_point_coords_wrt_image(torch.cat([x.tensor for x in boxes]), point_coords)
    padded, valid = pad_rows(absolute, counts)
    if len(set(counts)) > 1:
        padded = padded.masked_fill(~valid[:, :, None, None], NOWHERE)
    parts = []
    for features, scale in zip(features_list, feature_scales, strict=True):
        height, width = features.shape[-2:]
        size = upload([width / scale, height / scale], padded.device, padded.dtype)
        sampled = point_sample(features, padded / size).transpose(1, 2)  # (N, rows, C, P)
        parts.append(torch.cat([own[:count] for own, count in zip(sampled, counts, strict=True)]))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1), absolute


@torch.compiler.disable
@torch.no_grad()
def sample_point_labels(instances: Sequence[Instances], point_coords: Tensor) -> Tensor:
    """Read the masks of objects at points.

    Args:
        instances: per image, with ``gt_masks``, a `BitMasks`; R objects in all.
        point_coords: (R, P, 2) absolute.

    Returns:
        (R, P) float in [0, 1]: 1 where the four pixels around a point belong to the object, 0 where none
        does, and what is between them elsewhere. Pixels outside of the image belong to none.

    Raises:
        ValueError: the ground truth has no masks, or polygons.
    """
    filled = [x for x in instances if len(x)]
    if not filled:
        return point_coords.new_zeros(point_coords.shape[:2])
    for x in filled:
        masks = x.get("gt_masks") if x.has("gt_masks") else None
        if not isinstance(masks, BitMasks):
            have = "no 'gt_masks'" if masks is None else f"'gt_masks' as {type(masks).__name__}"
            raise ValueError(
                f"labels of points are read from bit masks; the ground truth has {have}. Let the mapper make "
                "them: dataloader.train.mapper.use_instance_mask=True "
                "dataloader.train.mapper.instance_mask_format=bitmask"
            )
    sources, indices = zip(*(x.gt_masks.shared() for x in filled), strict=True)
    counts = [len(x) for x in filled]
    device = point_coords.device
    starts = upload(np.cumsum([0, *(len(x) for x in sources)])[:-1], device, torch.int64)
    rows = torch.cat(indices).to(device) + rows_of_images(starts, counts)
    sizes = upload([tuple(x.shape[-2:]) for x in sources], device, torch.int64)
    return _sample_masks(pad_bitmasks(sources).to(device), rows, rows_of_images(sizes, counts), point_coords)


def _sample_masks(masks: Tensor, rows: Tensor, sizes: Tensor, points: Tensor) -> Tensor:
    """Read masks at points, bilinearly; 0 outside of an image.

    Args:
        masks: bool (M, H, W), padded.
        rows: (R,) which mask each row of points belongs to.
        sizes: (R, 2) height and width of its image.
        points: (R, P, 2) absolute.

    Only the pixels around the points are turned into numbers: the masks may be many and large.
    """
    height, width = masks.shape[-2:]
    low = (points - 0.5).floor()
    corner = torch.arange(2, device=points.device, dtype=points.dtype)
    x = (low[..., :1] + corner).unsqueeze(2)  # (R, P, 1, 2)
    y = (low[..., 1:] + corner).unsqueeze(3)  # (R, P, 2, 1)
    limit = sizes[:, :, None, None, None]
    inside = (x >= 0) & (x < limit[:, 1]) & (y >= 0) & (y < limit[:, 0])
    # turned to indices only where they are of a pixel: a point may be anywhere, or no number
    column, line = (torch.where(inside, v, 0).to(torch.int64) for v in (x, y))
    values = masks.flatten()[(rows[:, None, None, None] * height + line) * width + column] & inside
    far = points - 0.5 - low
    across, down = torch.stack((1 - far, far), dim=3).unbind(dim=2)  # (R, P, 2) each
    weights = down.unsqueeze(3) * across.unsqueeze(2)
    return torch.where(values, weights, 0).sum(dim=(2, 3))
