"""The command `predict`: what a model finds in images and videos."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lazycfg.cli.common import CommandError, mistakes, say, size_option, split_words
from lazycfg.cli.models import load_predictor

if TYPE_CHECKING:
    from torch.nn import Module

    from lazycfg.engine import Predictor

__all__ = ["predict", "split_images"]

_FOLDER = "predictions"


def predict(arguments: argparse.Namespace) -> int:
    """Predict on images, videos or a camera; the exit status is 1 if something could not be read.

    Raises:
        CommandError: there is nothing to predict on, or the options do not go together.
    """
    words, overrides = split_images(arguments.words)
    if not words and not arguments.video and arguments.webcam is None:
        raise CommandError("nothing to predict on: give images, folders, URLs, --video FILE or --webcam")
    if not 0 <= arguments.threshold <= 1:
        raise CommandError(f"--threshold {arguments.threshold:g} must be a score from 0 to 1")
    if arguments.batch_size < 1:
        raise CommandError(f"--batch-size {arguments.batch_size} must be at least 1")
    options: dict[str, Any] = {"batch_size": arguments.batch_size, "device": arguments.device}
    if arguments.tile is not None:
        options["tiles"] = {
            "slice_size": size_option("--tile", arguments.tile, "640 or 640x800 (height x width in pixels)")
        }
    only_shown = arguments.webcam is not None and not words and not arguments.video
    folder = None if only_shown and arguments.output is None else Path(arguments.output or _FOLDER)
    if folder is not None:
        _check_folder(folder, arguments.overwrite)
    from lazycfg.data import AnnotationError, Metadata
    from lazycfg.engine.predicting import ImageIds, find_sources, refuse_own_results
    from lazycfg.visualization.fonts import check_font

    if arguments.font is not None:
        try:
            check_font(arguments.font)
        except ValueError as error:
            raise CommandError(f"--font: {error}") from error

    with tempfile.TemporaryDirectory(prefix="lazycfg-") as downloads, mistakes(arguments):
        if sys.stderr.isatty():
            say(f"loading {arguments.config} ...", file=sys.stderr)
        with _warnings_shown():
            images, videos = find_sources(words, Path(downloads), arguments.video, results=folder)
            if folder is not None:
                refuse_own_results([*images, *videos], folder, draw=not arguments.no_images)
            predictor = load_predictor(arguments, overrides, **options)
        model = predictor.model  # that of the config, which tiles are put around
        _say_of_threshold(
            model if arguments.tile is None else model.get_submodule("model"), arguments.threshold
        )
        try:
            ids = ImageIds(predictor.metadata, arguments.annotations)
        except AnnotationError as error:
            raise CommandError(f"--annotations: {error}") from error
        if predictor.metadata is None and ids.names:
            predictor.metadata = Metadata(thing_classes=ids.names)
        status = 0
        if images and folder is not None:
            status = _images(predictor, images, folder, ids, arguments)
        for video in videos:
            if status != 130 and folder is not None:
                status = max(status, _video(predictor, video, folder, arguments))
        if arguments.webcam is not None and status != 130:
            from lazycfg.cli.webcam import predict_webcam

            predict_webcam(predictor, arguments.webcam, folder, arguments)
    return status


def split_images(words: list[str]) -> tuple[list[str], list[str]]:
    """Return images and overrides: what is there, or a URL, is no override though it may have a ``=``."""
    images: list[str] = []
    overrides: list[str] = []
    for word in words:
        is_image = word.lower().startswith(("http://", "https://", "file://")) or os.path.exists(word)
        others, found = ([word], []) if is_image else split_words([word])
        images += others
        overrides += found
    return images, overrides


def _check_folder(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise CommandError(f"{folder} is no folder: choose another with -o DIR")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise CommandError(
            f"{folder} holds files already: choose another folder with -o DIR, or add --overwrite, which "
            "replaces files of the same names"
        )


def _earlier(folder: Path, images: list[Any]) -> set[Path]:
    """Return what an earlier `predict` wrote of images into a folder, but for what is predicted on now."""
    results = ("predictions.json", "images.json", "predictions.csv", "panoptic.json")
    drawn = ("images/**/*.jpg", "labels/**/*.png", "panoptic/**/*.png")
    if not any((folder / name).exists() for name in ("predictions.json", "panoptic.json", "labels")):
        return set()
    read = {os.path.realpath(source.place) for source in images if isinstance(source.place, Path)}
    found = {path for pattern in (*results, *drawn) for path in folder.glob(pattern)}
    return {path for path in found if os.path.realpath(path) not in read}


def _say_of_threshold(model: Module, threshold: float) -> None:
    """Say where the model of the config leaves out objects that the threshold would let pass."""
    found = {
        f"model.{name}".rstrip(".") + ".test_score_thresh": float(module.test_score_thresh)
        for name, module in model.named_modules()
        if isinstance(getattr(module, "test_score_thresh", None), float | int)
    }
    for path, least in found.items():
        if least > threshold:
            remedy = f"to have them: {path}={threshold:g}"
            say(f"note: the model itself leaves out scores below {least:g}; {remedy}", file=sys.stderr)


def _images(
    predictor: Predictor, images: list[Any], folder: Path, ids: Any, arguments: argparse.Namespace
) -> int:
    from lazycfg.engine.predicting import predict_images
    from lazycfg.utils import counted

    before = _earlier(folder, images)
    with _warnings_shown():
        done = predict_images(
            predictor,
            images,
            folder,
            threshold=arguments.threshold,
            ids=ids,
            draw=not arguments.no_images,
            font=arguments.font,
            tell=say,
            complain=_complain,
        )
    for path in done.files:
        say(f"wrote {path}")
    if not arguments.no_images and done.images:
        say(f"wrote {folder / 'images'}: {counted(done.images, 'image')}")
    if older := sorted(before.difference(done.written, done.files)):
        one = len(older) == 1
        say(
            f"note: {counted(len(older), 'older file')} of predict stay{'s' if one else ''} in "
            f"{folder}, such as {older[0]}: what was written now does not tell of {'it' if one else 'them'}",
            file=sys.stderr,
        )
    if done.failed:
        say(f"{len(done.failed)} of {len(images)} images could not be read", file=sys.stderr)
    if done.interrupted:
        say(f"interrupted after {done.images} of {len(images)} images", file=sys.stderr)
        return 130
    return 1 if done.failed else 0


def _video(predictor: Predictor, video: Any, folder: Path, arguments: argparse.Namespace) -> int:
    from lazycfg.checkpoint import CheckpointError
    from lazycfg.engine.predicting import predict_video
    from lazycfg.utils.video import VideoError

    def progress(done: int, total: int) -> None:
        if sys.stderr.isatty() and done % 5 == 0:
            of = f" of {total:,}" if total else ""
            print(f"\r{video.name}: frame {done:,}{of}", end="", file=sys.stderr, flush=True)

    try:
        with _warnings_shown():
            told, files = predict_video(
                predictor,
                video,
                folder,
                threshold=arguments.threshold,
                tracking=arguments.track,
                draw=not arguments.no_images,
                font=arguments.font,
                progress=progress,
            )
    except (VideoError, CheckpointError, FileNotFoundError) as error:
        text = str(error)
        _complain(text if video.name in text else f"{video.name}: {text}")
        return 1
    except KeyboardInterrupt:
        say(f"\ninterrupted: nothing is written of {video.name}", file=sys.stderr)
        return 130
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    say(f"{video.name}: {told}")
    for path in files:
        say(f"wrote {path}")
    return 0


def _complain(text: str) -> None:
    say(f"lazycfg: {text}", file=sys.stderr)


@contextmanager
def _warnings_shown() -> Iterator[None]:
    """Show the warnings of the library, such as that weights hold no class names, as lines."""
    import logging

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(f"note: {record.getMessage()}", file=sys.stderr)

    logger, handler = logging.getLogger("lazycfg"), Lines(logging.WARNING)
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before
