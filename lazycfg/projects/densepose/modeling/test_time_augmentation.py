"""Test-time augmentation of chart models: resized, mirrored and rotated views of an image."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.data.transforms import RotationTransform
from lazycfg.modeling import GeneralizedRCNN, GeneralizedRCNNWithTTA
from lazycfg.modeling.test_time_augmentation import Inputs, slices
from lazycfg.modeling.tta_views import ViewTransform, move_boxes
from lazycfg.structures import Boxes, Instances

from ..structures import DensePoseChartPredictorOutput, DensePoseTransformData, hflip_chart_output

__all__ = ["DensePoseGeneralizedRCNNWithTTA", "resample_to_box", "rotated_boxes"]

AVERAGED = ("coarse_segm", "fine_segm", "u", "v")
"""Confidences are those of the first view: a direction in a chart has no mean over charts that swap."""


class DensePoseGeneralizedRCNNWithTTA(GeneralizedRCNNWithTTA):
    """As `GeneralizedRCNNWithTTA`, for models with charts.

    Boxes are merged from upright views. The maps of the merged boxes are the means of those in all views, as
    they would be if the view were neither mirrored nor rotated.

    Args:
        model: a `GeneralizedRCNN` with `DensePoseROIHeads`.
        tta_mapper, batch_size, keypoint_hflip_indices: see `GeneralizedRCNNWithTTA`.
        rotation_angles: degrees; each view is also looked at rotated by each of them.
        symmetry_file: UV_symmetry_transforms.mat; needed for mirrored views.

    Raises:
        FileNotFoundError, DensePoseFileError: there is no such file, or it is something else.
        ValueError: views are mirrored and no file is given.
    """

    branches = (*GeneralizedRCNNWithTTA.branches, "densepose_on")

    def __init__(
        self,
        *,
        model: GeneralizedRCNN,
        tta_mapper: Callable[[dict[str, Any]], list[dict[str, Any]]] | None = None,
        batch_size: int = 3,
        keypoint_hflip_indices: Sequence[int] | None = None,
        rotation_angles: Sequence[float] = (),
        symmetry_file: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(
            model=model,
            tta_mapper=tta_mapper,
            batch_size=batch_size,
            keypoint_hflip_indices=keypoint_hflip_indices,
        )
        self.rotation_angles = tuple(rotation_angles)
        self.symmetries = None if symmetry_file is None else DensePoseTransformData.load(symmetry_file)
        if self.symmetries is None and getattr(self.tta_mapper, "flip", False):
            raise ValueError(
                "DensePoseGeneralizedRCNNWithTTA: charts of mirrored views are not known without "
                "symmetry_file=UV_symmetry_transforms.mat; or give a tta_mapper with flip=False"
            )

    def _fill_in(
        self,
        merged: Sequence[Instances],
        views: Inputs,
        transforms: Sequence[ViewTransform],
        counts: Sequence[int],
    ) -> None:
        with self._without(["densepose_on"]):
            super()._fill_in(merged, views, transforms, counts)
        if not getattr(self.model.roi_heads, "densepose_on", False):
            return
        with self._without(GeneralizedRCNNWithTTA.branches):
            for x, part in zip(merged, slices(counts), strict=True):
                if len(x):
                    x.pred_densepose = self._mean_output(x, views[part], transforms[part])

    def _mean_output(
        self, merged: Instances, views: Inputs, transforms: Sequence[ViewTransform]
    ) -> DensePoseChartPredictorOutput:
        """Return the mean of what is seen of the boxes of one image in its views."""
        total: DensePoseChartPredictorOutput | None = None
        count = 0
        for output in self._outputs(merged, views, transforms):
            count += 1
            if total is None:
                total = replace(output, **{name: getattr(output, name).float() for name in AVERAGED})
                continue
            for name in AVERAGED:
                getattr(total, name).add_(getattr(output, name))
        assert total is not None
        return replace(total, **{name: getattr(total, name) / count for name in AVERAGED})

    def _outputs(
        self, merged: Instances, views: Inputs, transforms: Sequence[ViewTransform]
    ) -> Iterator[DensePoseChartPredictorOutput]:
        """Yield what is seen in each view, upright. Some views at a time: maps of many boxes are large."""
        looks = [
            (view, move, rotation)
            for view, move in zip(views, transforms, strict=True)
            for rotation in (None, *self._rotations(view["image"]))
        ]
        count = len(merged)
        for start in range(0, len(looks), self.batch_size):
            inputs, given, boxes_of_views = [], [], []
            for view, move, rotation in looks[start : start + self.batch_size]:
                boxes = move_boxes(merged.pred_boxes.tensor, [move], [count])
                boxes_of_views.append(boxes)
                image = view["image"]
                if rotation is not None:
                    boxes, image = rotated_boxes(boxes, rotation.matrix), rotation.transform_image(image)
                inputs.append({**view, "image": image})
                size = (int(image.shape[-2]), int(image.shape[-1]))
                given.append(
                    Instances(
                        size,
                        pred_boxes=Boxes(boxes),
                        pred_classes=merged.pred_classes,
                        scores=merged.scores,
                    )
                )
            found, _ = self._run(inputs, given)
            for x, boxes, (_, move, rotation) in zip(
                found, boxes_of_views, looks[start : start + self.batch_size], strict=True
            ):
                output = x.pred_densepose
                if not isinstance(output, DensePoseChartPredictorOutput):
                    raise TypeError(
                        "DensePoseGeneralizedRCNNWithTTA is for models with charts, the heads give "
                        f"{type(output).__name__}"
                    )
                if rotation is not None:
                    maps = {
                        name: resample_to_box(
                            getattr(output, name), boxes, x.pred_boxes.tensor, rotation.matrix
                        )
                        for name in AVERAGED
                    }
                    output = replace(output, **maps)
                yield self._unmirrored(output, move)

    def _rotations(self, image: Tensor) -> list[RotationTransform]:
        height, width = int(image.shape[-2]), int(image.shape[-1])
        return [RotationTransform(height, width, angle) for angle in self.rotation_angles]

    def _unmirrored(
        self, output: DensePoseChartPredictorOutput, move: ViewTransform
    ) -> DensePoseChartPredictorOutput:
        across, down = move.mirrored
        if down:  # upside down is a mirrored image that is turned
            turned = {name: getattr(output, name).flip((-1, -2)) for name in AVERAGED}
            output, across = replace(output, **turned), not across
        if not across:
            return output
        if self.symmetries is None:
            raise ValueError(
                "a view is mirrored: give DensePoseGeneralizedRCNNWithTTA "
                "symmetry_file=UV_symmetry_transforms.mat"
            )
        self.symmetries = self.symmetries.to(output.device)
        return hflip_chart_output(output, self.symmetries)


def rotated_boxes(boxes: Tensor, matrix: np.ndarray) -> Tensor:
    """Return the upright boxes around boxes whose points are moved.

    Args:
        boxes: (N, 4) XYXY.
        matrix: (2, 3) of the movement.
    """
    x0, y0, x1, y1 = boxes.unbind(dim=1)
    corners = torch.stack((torch.stack((x0, x1, x0, x1)), torch.stack((y0, y0, y1, y1))), dim=-1)
    moved = corners @ boxes.new_tensor(matrix[:, :2].T) + boxes.new_tensor(matrix[:, 2])
    return torch.cat((moved.amin(dim=0), moved.amax(dim=0)), dim=1)


def resample_to_box(maps: Tensor, boxes: Tensor, moved_boxes: Tensor, matrix: np.ndarray) -> Tensor:
    """Return maps over boxes, read from maps over other boxes in an image whose points are moved.

    Args:
        maps: (N, C, H, W) over `moved_boxes`.
        boxes: (N, 4) XYXY before the movement.
        moved_boxes: (N, 4) XYXY in the moved image, around them.
        matrix: (2, 3) of the movement.

    Returns:
        (N, C, H, W) over `boxes`, bilinear.
    """
    height, width = maps.shape[2:]
    steps = [(torch.arange(n, device=maps.device) + 0.5) / n for n in (width, height)]
    places = torch.stack(torch.meshgrid(*steps, indexing="xy"), dim=-1)
    start, size = boxes[:, None, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None, None]
    points = (start + places * size) @ boxes.new_tensor(matrix[:, :2].T) + boxes.new_tensor(matrix[:, 2])
    moved_start = moved_boxes[:, None, None, :2]
    moved_size = (moved_boxes[:, 2:] - moved_boxes[:, :2])[:, None, None]
    grid = 2 * (points - moved_start) / moved_size - 1
    return F.grid_sample(maps.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
