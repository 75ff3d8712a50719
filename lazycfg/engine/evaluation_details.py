"""``details.json``: what a report shows of the last evaluation, and its worst and best images."""

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import nn

from lazycfg.evaluation import DatasetEvaluators, to_json
from lazycfg.utils import atomic_write, get_event_storage, has_event_storage

from .build import Parts
from .prediction_images import save_pictures
from .settings import TrainSettings

__all__ = ["write_details"]

logger = logging.getLogger(__name__)

_NAME = "details.json"


def write_details(
    model: nn.Module,
    parts: Parts,
    settings: TrainSettings,
    should_stop: Callable[[], int] | None = None,
) -> None:
    """Write what the evaluator tells beside its results, and draw the worst and the best images; main process
    only. Where that fails, a warning says so.

    Args:
        model: as it was evaluated.
        parts: with the test loader and the evaluator.
        settings: of the run; half of ``train.pictures`` images are drawn of the worst and of the best.
        should_stop: asked before each image.
    """
    asked = parts.evaluator if isinstance(parts.evaluator, list | tuple) else [parts.evaluator]
    # An evaluator of a user need not be a `DatasetEvaluator`
    asked = [each for each in asked if hasattr(each, "details")]
    try:
        tasks, quality = DatasetEvaluators(asked).details()
        content: dict[str, Any] = {"tasks": tasks}
        if has_event_storage():
            content["iteration"] = get_event_storage().iter + 1  # how many are done
        folder = Path(settings.output_dir)
        if quality and settings.pictures:
            best = next((task["threshold"] for task in tasks.values() if task.get("threshold")), 0.5)
            content["images"] = _draw(model, parts, settings, quality, best, should_stop)
        if tasks:
            with atomic_write(folder / _NAME) as partial:
                partial.write_text(to_json(content) + "\n")
    except Exception:  # the numbers, and hours of training, are worth more
        logger.warning("could not write %s (the run goes on)", _NAME, exc_info=True)


def _draw(
    model: nn.Module,
    parts: Parts,
    settings: TrainSettings,
    quality: Mapping[Any, float],
    score_threshold: float,
    should_stop: Callable[[], int] | None,
) -> dict[str, list[dict[str, Any]]]:
    """Return the files drawn, by "worst" and "best", with how good each is."""
    records = getattr(getattr(parts.test_loader, "dataset", None), "dataset", None)
    if records is None:
        return {}
    places = {records[index].get("image_id"): index for index in range(len(records))}
    ordered = sorted((image for image in quality if image in places), key=lambda image: quality[image])
    count = min((settings.pictures + 1) // 2, len(ordered) // 2)
    chosen = {"worst": ordered[:count], "best": ordered[::-1][:count]}
    folder = Path(settings.output_dir)
    _remove_earlier(folder)
    return {
        name: [
            {
                "file": path.relative_to(folder).as_posix(),
                "image_id": image,
                **_named(records[places[image]]),
                "quality": round(quality[image], 4),
            }
            for image in images
            for path in save_pictures(
                model,
                parts.test_loader,
                folder / "pictures" / name,
                indices=[places[image]],
                score_threshold=score_threshold,
                font=settings.font,
                should_stop=should_stop,
            )
        ]
        for name, images in chosen.items()
    }


def _named(record: Mapping[str, Any]) -> dict[str, str]:
    return {"name": Path(record["file_name"]).name} if "file_name" in record else {}


def _remove_earlier(folder: Path) -> None:
    """Remove the images of the evaluation before, and no others."""
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        before = json.loads((folder / _NAME).read_text())["images"]
        for name in ("worst", "best"):
            for each in before[name]:
                path = folder / "pictures" / name / Path(each["file"]).name
                path.unlink(missing_ok=True)
