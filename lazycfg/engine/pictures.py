"""Pictures of predictions beside the ground truth."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from lazycfg.data import load_rgb
from lazycfg.evaluation import inference_context
from lazycfg.visualization import draw_ground_truth, draw_instances, draw_sem_seg, side_by_side

__all__ = ["draw_output", "save_pictures"]

logger = logging.getLogger(__name__)


def save_pictures(
    model: nn.Module,
    test_loader: Any,
    folder: str | Path,
    *,
    count: int = 8,
    score_threshold: float = 0.5,
) -> list[Path]:
    """Draw some pictures of a test loader, spread over its data set.

    Args:
        model: whose predictions are drawn.
        test_loader: its ``dataset`` maps the records of ``dataset.dataset``.
        folder: where ``<number>_<name>.jpg`` go.
        count: how many.
        score_threshold: detections below it are left out.

    Returns:
        the files; none for a loader that is not of this make.
    """
    mapped = getattr(test_loader, "dataset", None)
    records = getattr(mapped, "dataset", None)
    if count < 1 or mapped is None or records is None or not len(records):
        return []
    metadata = getattr(records, "metadata", None)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for index in np.unique(np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int)):
        record, sample = records[int(index)], mapped[int(index)]
        if sample is None:  # could not be read, and is passed over by choice
            continue
        with inference_context(model):
            (output,) = model([sample])
        image = load_rgb(record, getattr(mapped, "map_func", None))
        predicted = draw_output(image, output, metadata, score_threshold=score_threshold)
        if "annotations" in record:
            truth = draw_ground_truth(record, metadata, image=image)
            picture = side_by_side([truth, predicted], ["ground truth", "prediction"])
        else:
            picture = predicted
        name = re.sub(r"\W+", "_", Path(str(record.get("file_name", record.get("image_id", "")))).stem)
        path = folder / f"{index:05d}_{name}.jpg"
        Image.fromarray(picture).save(path, quality=92)
        written.append(path)
    return written


def draw_output(image: Any, output: dict[str, Any], metadata: Any = None, **options: Any) -> np.ndarray:
    """Draw what a model says of one image: its instances, or else its semantic segmentation.

    Args:
        image: RGB.
        output: one of the dicts that the model returns.
        metadata: of the data set that the model was trained on.
        **options: for `draw_instances`.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    draw: dict[str, Callable[[], np.ndarray]] = {
        "instances": lambda: draw_instances(image, output["instances"].to("cpu"), metadata, **options),
        "sem_seg": lambda: draw_sem_seg(image, _labels(output["sem_seg"]), metadata),
        "proposals": lambda: draw_instances(image, output["proposals"].to("cpu")[:20], metadata),
    }
    for name, function in draw.items():
        if name in output:
            return function()
    raise ValueError(
        f"nothing to draw in an output with {', '.join(output)}; expected one of {', '.join(draw)}"
    )


def _labels(sem_seg: torch.Tensor) -> np.ndarray:
    return (sem_seg.argmax(dim=0) if sem_seg.dim() == 3 else sem_seg).cpu().numpy()
