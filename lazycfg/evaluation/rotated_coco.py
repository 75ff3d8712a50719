"""COCO's metrics for rotated boxes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from lazycfg.evaluation.coco import COCOEvaluator

__all__ = ["RotatedCOCOEvaluator"]


class RotatedCOCOEvaluator(COCOEvaluator):
    """Measure AP as COCO defines it, for rotated boxes by their rotated IoU.

    The results and files are those of `COCOEvaluator` for "bbox", where boxes have five numbers (xc, yc,
    width, height, degrees counter-clockwise). Upright boxes, of the dataset or of the model, count as boxes
    of angle 0.

    Args:
        dataset: has ``metadata`` with the class names, and records.
        tasks: "bbox" is the only one.
        output_dir, max_dets_per_image, analysis, distributed: see `COCOEvaluator`.
    """

    rotated = True

    def __init__(
        self,
        *,
        dataset: Any,
        tasks: Sequence[str] | None = None,
        output_dir: str | os.PathLike[str] | None = None,
        max_dets_per_image: int | None = None,
        analysis: bool = False,
        distributed: bool = True,
    ) -> None:
        if tasks is not None and set(tasks) != {"bbox"}:
            raise ValueError(f'RotatedCOCOEvaluator: the only task is "bbox", got {list(tasks)}')
        super().__init__(
            dataset=dataset,
            tasks=("bbox",),
            output_dir=output_dir,
            max_dets_per_image=max_dets_per_image,
            analysis=analysis,
            distributed=distributed,
        )
