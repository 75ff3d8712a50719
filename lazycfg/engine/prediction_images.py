"""Images of predictions beside the ground truth."""

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from lazycfg.data import load_rgb
from lazycfg.evaluation import inference_context
from lazycfg.evaluation.label_maps import segments_of_labels
from lazycfg.utils import counted
from lazycfg.visualization import (
    as_rgb,
    draw_ground_truth,
    draw_instances,
    draw_panoptic_seg,
    draw_sem_seg,
    side_by_side,
)

__all__ = ["draw_output", "panoptic_of", "save_pictures"]

logger = logging.getLogger(__name__)

_MAX_SIDE = 1600  # pixels of the longer side; larger images are drawn smaller
_MAX_DRAWN = 100  # predicted objects


def save_pictures(
    model: nn.Module,
    test_loader: Any,
    folder: str | Path,
    *,
    count: int = 8,
    indices: Sequence[int] | None = None,
    score_threshold: float = 0.5,
    font: str | Path | None = None,
    should_stop: Callable[[], Any] | None = None,
) -> list[Path]:
    """Draw some images of a test loader, spread over its data set.

    Images whose longer side exceeds 1,600 pixels are drawn smaller. Titles say how many objects there are.

    Args:
        model: whose predictions are drawn.
        test_loader: its ``dataset`` maps the records of ``dataset.dataset``.
        folder: where ``<number>_<name>.jpg`` go.
        count: how many.
        indices: which of the data set; None spreads ``count`` over it.
        score_threshold: detections below it are left out.
        font: a font file for the labels; None takes one that has their letters.
        should_stop: asked before each image; a true answer leaves out the others.

    Returns:
        the files; none for a loader that is not of this make.
    """
    mapped = getattr(test_loader, "dataset", None)
    records = getattr(mapped, "dataset", None)
    if count < 1 or mapped is None or records is None or not len(records):
        return []
    if indices is None:
        spread = np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int)
        indices = np.unique(spread).tolist()
    metadata = getattr(records, "metadata", None)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for index in indices:
        if should_stop is not None and should_stop():
            break
        record, sample = records[int(index)], mapped[int(index)]
        if sample is None:  # could not be read, and is passed over by choice
            continue
        image = as_rgb(load_rgb(record, getattr(mapped, "map_func", None)))
        factor = min(1.0, _MAX_SIDE / max(image.shape[:2]))
        small = _resized(image, factor) if factor < 1 else image
        # Predictions come in the size that the sample asks for
        size = {"height": small.shape[0], "width": small.shape[1]} if factor < 1 else {}
        with inference_context(model):
            (output,) = model([{**sample, **size}])
        picture = draw_output(
            small, output, metadata, score_threshold=score_threshold, max_instances=_MAX_DRAWN, font=font
        )
        titles = [f"prediction{_counted(output, score_threshold)}"]
        drawn = [picture]
        if "annotations" in record:
            scale = factor if factor < 1 else None
            drawn.insert(0, draw_ground_truth(record, metadata, image=image, scale=scale, font=font))
            titles.insert(0, f"ground truth: {counted(len(record['annotations']), 'object')}")
        name = re.sub(r"\W+", "_", Path(str(record.get("file_name", record.get("image_id", "")))).stem)
        path = folder / f"{index:05d}_{name}.jpg"
        Image.fromarray(side_by_side(drawn, titles)).save(path, quality=92)
        written.append(path)
    return written


def draw_output(image: Any, output: dict[str, Any], metadata: Any = None, **options: Any) -> np.ndarray:
    """Draw what a model says of one image: its panoptic segmentation, its instances, or its semantic
    segmentation; the first that there is. Without metadata nothing panoptic is drawn.

    Args:
        image: RGB.
        output: one of the dicts that the model returns.
        metadata: of the data set that the model was trained on.
        **options: for `draw_instances`; ``scale`` and ``font`` go to `draw_sem_seg`, too.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        ValueError: the output has nothing that can be drawn
    """
    common = {name: options[name] for name in ("scale", "font") if name in options}
    if metadata is not None and "panoptic_seg" in output:
        segments, info = panoptic_of(output, metadata)
        return draw_panoptic_seg(image, segments, info, metadata, **common)
    draw: dict[str, Callable[[], np.ndarray]] = {
        "instances": lambda: draw_instances(image, output["instances"].to("cpu"), metadata, **options),
        "sem_seg": lambda: draw_sem_seg(image, _labels(output["sem_seg"]), metadata, **common),
        "proposals": lambda: draw_instances(image, output["proposals"].to("cpu")[:20], metadata, **common),
    }
    for name, function in draw.items():
        if name in output:
            return function()
    if "panoptic_seg" in output:
        raise ValueError("segments cannot be drawn: the classes of the data (metadata) are not known")
    raise ValueError(
        f"nothing to draw in an output with {', '.join(output)}; expected one of {', '.join(draw)}"
    )


def panoptic_of(output: dict[str, Any], metadata: Any) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Return the segment ids (H, W) of an output, and what each segment is.

    Args:
        output: with "panoptic_seg".
        metadata: of the data, for labels that tell the classes, see `segments_of_labels`.
    """
    segments, info = output["panoptic_seg"]
    segments = segments.cpu().numpy()
    return segments, segments_of_labels(segments, metadata) if info is None else info


def _labels(sem_seg: torch.Tensor) -> np.ndarray:
    return (sem_seg.argmax(dim=0) if sem_seg.dim() == 3 else sem_seg).cpu().numpy()


def _resized(image: np.ndarray, factor: float) -> np.ndarray:
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def _counted(output: dict[str, Any], threshold: float) -> str:
    """Return the part of a title that tells how many objects were found, and how many of them are drawn."""
    instances = output.get("instances")
    if instances is None:
        return ""
    if not instances.has("scores") or _has_labels(output):
        return f": {counted(len(instances), 'object')}"
    scores = instances.scores
    if not len(scores):
        return ": nothing found"
    good = int((scores >= threshold).sum())
    if not good:
        return f": none of {len(scores):,} above {threshold:.3g}, best {float(scores.max()):.2f}"
    shown = f", the best {_MAX_DRAWN} drawn" if good > _MAX_DRAWN else ""
    return f": {counted(good, 'object')} above {threshold:.3g}{shown}"


def _has_labels(output: dict[str, Any]) -> bool:
    """Return whether there is a panoptic map whose labels tell the classes, as Panoptic-DeepLab's do."""
    return output.get("panoptic_seg", (None, ()))[1] is None
