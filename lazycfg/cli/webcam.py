"""Predictions on what a camera sees, in a window."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lazycfg.cli.common import CommandError, say

if TYPE_CHECKING:
    import numpy as np

    from lazycfg.engine import Predictor

__all__ = ["predict_webcam"]

_TITLE = "lazycfg: q ends"


def predict_webcam(
    predictor: Predictor, number: int, folder: Path | None, arguments: argparse.Namespace
) -> None:
    """Show what is found until ``q`` is pressed or the window is closed; with a folder, write a video, too.

    Raises:
        CommandError: OpenCV is not installed or shows no windows, or there is no such camera, or it gives no
            image.
    """
    if number < 0:
        raise CommandError(f"--webcam {number}: cameras count from 0")
    try:
        import cv2
    except ImportError as error:
        raise CommandError("--webcam needs OpenCV: pip install opencv-python") from error
    from lazycfg.engine.predicting import predict_frames
    from lazycfg.utils import atomic_write
    from lazycfg.utils.video import VideoWriter

    camera = cv2.VideoCapture(number)
    if not camera.isOpened():
        raise CommandError(f"--webcam {number}: there is no such camera, or another program has it")
    frames = predict_frames(
        predictor,
        _frames(camera),
        threshold=arguments.threshold,
        tracking=arguments.track,
        font=arguments.font,
        live=True,
    )
    shown = 0
    try:
        with ExitStack() as stack:
            writer = None
            if folder is not None and not arguments.no_images:
                path = stack.enter_context(atomic_write(folder / "webcam.mp4"))
                writer = stack.enter_context(VideoWriter(path))
            try:
                for frame in frames:
                    shown += 1
                    if writer is not None:
                        writer.write(frame.drawn, frame.time)
                    if not _show(cv2, frame.drawn):
                        break
            except KeyboardInterrupt:
                pass  # as good an end as any: what was written is kept
            if not shown:
                raise CommandError(f"--webcam {number}: the camera gave no image")
    finally:
        camera.release()
        with suppress(cv2.error):  # OpenCV has no windows, which was told
            cv2.destroyAllWindows()
    say(f"{shown:,} frames")
    if folder is not None and not arguments.no_images:
        say(f"wrote {folder / 'webcam.mp4'}")


def _frames(camera: Any) -> Iterator[tuple[np.ndarray, float]]:
    started = None
    while True:
        there, image = camera.read()
        if not there:
            return
        now = time.monotonic()
        started = now if started is None else started
        yield image[:, :, ::-1].copy(), now - started


def _show(cv2: Any, image: np.ndarray) -> bool:
    """Show a frame; return whether to go on.

    Raises:
        CommandError: OpenCV has no windows.
    """
    try:
        cv2.imshow(_TITLE, image[:, :, ::-1])
        key = cv2.waitKey(1) & 0xFF
        return key not in (ord("q"), 27) and cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) > 0
    except cv2.error as error:
        raise CommandError(
            "--webcam shows a window, which this OpenCV cannot (opencv-python-headless, or no display): "
            "pip install opencv-python"
        ) from error
