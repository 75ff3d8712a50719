"""Predictions on images, drawn and written into a folder."""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lazycfg.checkpoint import CheckpointError
from lazycfg.evaluation import to_json
from lazycfg.evaluation.panoptic_files import write_segments
from lazycfg.structures import Instances
from lazycfg.utils import atomic_write

from ..prediction_images import panoptic_of
from ..predictor import Predictor
from ..settings import SettingsError
from .results import ImageIds, ResultFiles, above, found_text
from .sources import ImageSource

__all__ = ["Done", "predict_images"]

logger = logging.getLogger(__name__)

_UNNAMED = (
    "segments need the classes of the data that the model was trained on, and its weights do not hold them; "
    "those that lazycfg trains and publishes do"
)


@dataclass
class Done:
    """What came of predictions.

    Attributes:
        images: how many were predicted on.
        failed: names of those that could not be read.
        files: what was written beside the images.
        written: the drawings and maps of labels.
        interrupted: whether Ctrl-C ended it.
    """

    images: int = 0
    failed: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
    interrupted: bool = False


def predict_images(
    predictor: Predictor,
    sources: Sequence[ImageSource],
    folder: Path,
    *,
    threshold: float = 0.5,
    ids: ImageIds | None = None,
    draw: bool = True,
    font: str | None = None,
    tell: Callable[[str], Any] = print,
    complain: Callable[[str], Any] = print,
) -> Done:
    """Predict on images; draw them into ``<folder>/images``, and write `ResultFiles` into the folder.

    An image that cannot be read is told, and the others go on. After Ctrl-C or an error the files hold what
    was done.

    Args:
        predictor: of a model of any kind. Of one that labels pixels, ``labels/<name>.png`` holds the class
            of each; of a panoptic one, ``panoptic.json`` and ``panoptic/<name>.png`` are COCO's results.
        sources: the images.
        folder: for all that is written.
        threshold: objects of lower scores are left out, in drawings and files.
        ids: of images and categories.
        draw: whether to write drawings.
        font: a font file for their labels.
        tell: is given a line for each image.
        complain: is given a line for each that cannot be read.

    Raises:
        AnnotationError: ``ids`` does not know an image; before anything is predicted.
        SettingsError: the model gives segments only, and their classes are not known.
    """
    ids = ids or ImageIds(predictor.metadata)
    numbers = {source: ids.image(source.name) for source in sources}
    files, done = ResultFiles(ids), Done()
    with_instances = False
    panoptic: list[dict[str, Any]] = []
    passed: deque[tuple[ImageSource, Path]] = deque()

    def fail(source: ImageSource, error: Exception) -> None:
        done.failed.append(source.name)
        text = str(error)
        complain(text if source.name in text else f"{source.name}: {text}")

    def images() -> Iterator[Path]:
        for source in sources:
            try:
                path = source.local()
            except CheckpointError as error:
                fail(source, error)
                continue
            passed.append((source, path))
            yield path

    def write() -> None:
        if with_instances:
            done.files = files.write(folder)
        if panoptic:
            done.files.append(folder / "panoptic.json")
            with atomic_write(done.files[-1]) as partial:
                partial.write_text(to_json({"annotations": panoptic}) + "\n")

    try:
        for result in predictor.stream(images(), on_error="return"):
            source, path = passed.popleft()
            if isinstance(result, Exception):
                fail(source, result)
                continue
            output = dict(result) if isinstance(result, Mapping) else {"instances": result}
            told = ""
            if isinstance(instances := output.get("instances"), Instances):
                with_instances = True
                told = found_text(instances, threshold, ids.names)
            if "panoptic_seg" in output and predictor.metadata is None:
                if len(output) == 1:
                    raise SettingsError(_UNNAMED)
                if done.images == 0:
                    logger.warning("no panoptic results: %s", _UNNAMED)
            if "panoptic_seg" in output and predictor.metadata is not None:
                segments, info = panoptic_of(output, predictor.metadata)
                name = f"{source.output}.png"
                done.written.append(folder / "panoptic" / name)
                entries = write_segments(done.written[-1], segments, info, predictor.metadata)
                panoptic.append({"image_id": numbers[source], "file_name": name, "segments_info": entries})
                told = f"{told}, {len(entries)} segments" if told else f"{len(entries)} segments"
            elif "sem_seg" in output and "instances" not in output:
                done.written.append(folder / "labels" / f"{source.output}.png")
                told = _write_labels(output["sem_seg"], done.written[-1])
            if draw:
                drawn = predictor.draw(path, output, score_threshold=threshold, max_instances=None, font=font)
                done.written.append(folder / "images" / f"{source.output}.jpg")
                _write_image(drawn, done.written[-1])
            if isinstance(instances, Instances):
                files.add(numbers[source], source.name, above(instances, threshold))
            done.images += 1
            tell(f"{source.name}: {told or 'done'}")
    except KeyboardInterrupt:
        done.interrupted = True
    except Exception:
        with suppress(OSError):  # of a full disk the error that ended it tells more
            write()
        if done.images:
            complain(f"ended after {done.images} of {len(sources)} images; {folder} holds what was found")
        raise
    write()
    return done


def _write_image(pixels: np.ndarray, path: Path) -> None:
    with atomic_write(path) as partial:
        Image.fromarray(pixels).save(partial, format="JPEG", quality=92)


def _write_labels(sem_seg: Any, path: Path) -> str:
    """Write the class of each pixel as a PNG file, and return how many classes there are in it."""
    labels = (sem_seg.argmax(dim=0) if sem_seg.dim() == 3 else sem_seg).cpu().numpy()
    with atomic_write(path) as partial:
        kind = np.uint8 if labels.max(initial=0) < 256 else np.uint16
        Image.fromarray(labels.astype(kind)).save(partial, format="PNG")
    count = len(np.unique(labels))
    return f"{count} class{'' if count == 1 else 'es'} of pixels"
