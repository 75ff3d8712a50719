"""The command `export`: a model with its weights as one file that runs without this library."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lazycfg.cli.commands.predict import split_images
from lazycfg.cli.common import CommandError, mistakes, say, size_option
from lazycfg.cli.models import load_predictor

if TYPE_CHECKING:
    from torch import Tensor

    from lazycfg.engine import Predictor

__all__ = ["export"]


def export(arguments: argparse.Namespace) -> int:
    """Write a model for ``torch.export`` or ONNX, and tell how far it is from the model.

    Raises:
        CommandError: the model cannot be exported, or the exported one disagrees with it; nothing is written.
    """
    words, overrides = split_images(arguments.words)
    size = size_option("--size", arguments.size, "800x1216 or 640 (height x width in pixels)")
    path = Path(arguments.output)
    if path.exists() and not arguments.overwrite:
        raise CommandError(f"{path} is there already: choose another with -o FILE, or add --overwrite")
    from lazycfg.engine.predicting import find_sources
    from lazycfg.export import ExportError, NothingFoundError, export_detector

    with tempfile.TemporaryDirectory(prefix="lazycfg-") as downloads, mistakes(arguments):
        images, videos = find_sources(words, Path(downloads))
        if videos:
            raise CommandError(f"{videos[0].name} is a video: give images to compare on")
        predictor = load_predictor(arguments, overrides, device=arguments.device)
        names = None if predictor.metadata is None else predictor.metadata.thing_classes or None
        examples = [_example(predictor, image.local(), size) for image in images]
        try:
            report = export_detector(
                predictor.model,
                path,
                size=size,
                batch=arguments.batch_size,
                examples=examples or None,
                candidates=arguments.candidates,
                class_names=names,
            )
        except ExportError as error:
            if arguments.traceback:
                raise
            text = str(error)
            if isinstance(error, NothingFoundError):
                text = text.replace("give images with objects, examples=[...]", "name images with objects")
            raise CommandError(text) from error
    say(f"compared: {report.comparison}")
    say(f"wrote {path}: {report.bytes / 1e6:,.1f} MB")
    return 0


def _example(predictor: Predictor, file: Path, size: tuple[int, int]) -> Tensor:
    """Return an image (C, height, width) as the model takes it, stretched to the size."""
    import torch.nn.functional as F

    from lazycfg.data import DatasetMapper

    mapper = predictor.mapper
    if not isinstance(mapper, DatasetMapper):
        order: Any = getattr(predictor.model, "input_format", None) or "BGR"
        mapper = DatasetMapper(is_train=False, image_format=order)
    image = mapper.load_image({"file_name": str(file)}).float()
    return F.interpolate(image[None], size=size, mode="bilinear", antialias=True)[0].round()
