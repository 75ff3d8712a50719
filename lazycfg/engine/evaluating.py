"""One evaluation of a built model: numbers and images."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import nn

from lazycfg.evaluation import inference_on_dataset
from lazycfg.evaluation.evaluator import Progress
from lazycfg.utils import broadcast_object, get_event_storage, has_event_storage, is_main_process

from .build import Parts
from .class_mapping import RenumberedClasses
from .evaluation_details import write_details
from .prediction_images import save_pictures
from .settings import TrainSettings
from .trackers.base import asked_writers

__all__ = ["run_evaluation"]

logger = logging.getLogger(__name__)


def run_evaluation(
    parts: Parts,
    settings: TrainSettings,
    should_stop: Callable[[], int] | None = None,
    *,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Evaluate ``parts.model`` on the test loader; every process calls this and takes its share.

    Args:
        parts: model, test loader and evaluator.
        settings: of the run.
        should_stop: see `lazycfg.evaluation.inference_on_dataset`; no more images are drawn after it either.
        progress: see `lazycfg.evaluation.inference_on_dataset`.

    Returns:
        what the evaluator found, the same on every process.

    Raises:
        EvaluationInterrupted: `should_stop` gave a true answer.
    """
    model = parts.model
    if parts.class_mapping is not None:
        model = RenumberedClasses(model, parts.class_mapping)
    results = inference_on_dataset(
        model, parts.test_loader, parts.evaluator, should_stop=should_stop, progress=progress
    )
    if is_main_process():
        _draw(model, parts, settings, should_stop)
        write_details(model, parts, settings, should_stop)
    return dict(broadcast_object(results))


def _draw(
    model: nn.Module, parts: Parts, settings: TrainSettings, should_stop: Callable[[], int] | None
) -> None:
    folder = Path(settings.output_dir) / "pictures"
    if settings.pictures and hasattr(getattr(parts.test_loader, "dataset", None), "dataset"):
        logger.info("drawing images of predictions (train.pictures=%d) ...", settings.pictures)
    try:
        paths = save_pictures(
            model,
            parts.test_loader,
            folder,
            count=settings.pictures,
            font=settings.font,
            should_stop=should_stop,
        )
    except Exception:  # the numbers, and hours of training, are worth more
        logger.warning("could not draw predictions (the run goes on)", exc_info=True)
    else:
        if has_event_storage() and asked_writers(parts, settings):
            for path in paths:
                get_event_storage().put_image(f"predictions/{path.stem}", _small(path))
        if paths:
            logger.info("%d images of predictions beside ground truth in %s", len(paths), folder)


def _small(path: Path) -> np.ndarray:
    """Return an image (H, W, 3) for a writer, which keeps one of each evaluation."""
    with Image.open(path) as image:
        image.thumbnail((1200, 1200))
        return np.array(image.convert("RGB"))
