"""Predictions on the frames of a video, drawn into another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from lazycfg.structures import Instances
from lazycfg.tracking import (
    BaseTracker,
    BBoxIOUTracker,
    IOUWeightedHungarianBBoxIOUTracker,
    VanillaHungarianBBoxIOUTracker,
)
from lazycfg.utils import atomic_write, counted
from lazycfg.utils.video import VideoReader, VideoWriter
from lazycfg.visualization import VideoVisualizer

from ..prediction_images import draw_output
from ..predictor import Predictor
from ..settings import SettingsError
from .results import ImageIds, ResultFiles, above
from .sources import VideoSource

__all__ = ["TRACKERS", "Frame", "predict_frames", "predict_video"]

Tracking = Literal["iou", "hungarian", "weighted", "none"]
TRACKERS: tuple[Tracking, ...] = get_args(Tracking)
_LOST = 5  # frames for which an object that is not found keeps its number

Frames = Iterable[tuple[np.ndarray, float]]
"""Images (H, W, 3) uint8, RGB, of one size, and their times in seconds."""


@dataclass
class Frame:
    """A frame and what was found in it.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        time: in seconds from the first.
        output: what the model gives; of instances those above the threshold.
        tracks: the number of each instance, if they are tracked.
        drawn: the frame with what was found, (H, W, 3) uint8, RGB.
    """

    image: np.ndarray
    time: float
    output: dict[str, Any]
    tracks: list[int] | None
    drawn: np.ndarray


def predict_frames(
    predictor: Predictor,
    frames: Frames,
    *,
    threshold: float = 0.5,
    tracking: Tracking = "iou",
    font: str | None = None,
    live: bool = False,
) -> Iterator[Frame]:
    """Predict on frames, one after the other, and draw what is found.

    Args:
        predictor: of a model of any kind.
        frames: images and times.
        threshold: objects of lower scores are left out.
        tracking: how objects are followed from frame to frame: "iou" takes the nearest box, "hungarian" as
            many pairs as can be, "weighted" those of the largest overlap in all, "none" does not.
        font: a font file for labels.
        live: take no frame before the one before it is done, as of a camera; else the next batch is read
            while the model works.
    """
    visualizer = VideoVisualizer(predictor.metadata, scale=None, font=font)
    tracker: BaseTracker | None = None
    waiting: deque[tuple[np.ndarray, float]] = deque()

    def images() -> Iterator[np.ndarray]:
        for frame in frames:
            waiting.append(frame)
            yield frame[0]

    results: Iterator[Any]
    if live:
        results = (predictor(image, channel_order="RGB") for image in images())
    else:
        results = predictor.stream(images(), channel_order="RGB")
    for result in results:
        image, time = waiting.popleft()
        output = dict(result) if isinstance(result, Mapping) else {"instances": result}
        instances, tracks = output.get("instances"), None
        if isinstance(instances, Instances):
            instances = output["instances"] = above(instances, threshold)
            if tracking != "none":
                tracker = tracker or _tracker(tracking, *image.shape[:2])
                instances = tracker.update(instances)[: len(instances)]  # those out of sight follow
                tracks = list(instances.ID)
        if set(output) == {"instances"}:
            drawn = visualizer.draw_instance_predictions(image, instances).get_image()
        else:
            drawn = draw_output(image, output, predictor.metadata, font=font)
        yield Frame(image, time, output, tracks, drawn)


def _tracker(tracking: Tracking, height: int, width: int) -> BaseTracker:
    kinds: dict[str, type[BaseTracker]] = {
        "iou": BBoxIOUTracker,
        "hungarian": VanillaHungarianBBoxIOUTracker,
        "weighted": IOUWeightedHungarianBBoxIOUTracker,
    }
    return kinds[tracking](video_height=height, video_width=width, max_lost_frame_count=_LOST)


def predict_video(
    predictor: Predictor,
    source: VideoSource,
    folder: Path,
    *,
    threshold: float = 0.5,
    tracking: Tracking = "iou",
    draw: bool = True,
    font: str | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> tuple[str, list[Path]]:
    """Predict on a video: write ``<name>.mp4`` with what was found, and `ResultFiles` of its frames.

    Nothing is written of a video that cannot be read to its end. Its sound is left out.

    Args:
        predictor: of a model of any kind.
        source: the video.
        folder: for all that is written.
        threshold, tracking, font: see `predict_frames`.
        draw: whether to write the video.
        progress: called after each frame with how many are done and how many there are (0: not known).

    Returns:
        what was found, as text, and the files.

    Raises:
        FileNotFoundError, VideoError, DownloadError: the video cannot be read.
        ImportError: PyAV is not installed.
        SettingsError: nothing is drawn, and the model gives nothing else that is written.
    """
    reader = VideoReader(source.local())
    track = () if tracking == "none" else ("track",)
    files = ResultFiles(ImageIds(predictor.metadata), ("frame", "time", *track))
    path = folder / f"{source.output}.mp4"
    objects, tracks, number, with_instances = 0, set[int](), 0, False
    with ExitStack() as stack:
        writer = None
        for frame in predict_frames(predictor, reader, threshold=threshold, tracking=tracking, font=font):
            if not draw and not isinstance(frame.output.get("instances"), Instances):
                raise SettingsError(
                    f"{source.name}: what this model gives of a video ({', '.join(frame.output)}) is only "
                    "drawn: leave out --no-images"
                )
            if draw and writer is None:
                writer = stack.enter_context(
                    VideoWriter(stack.enter_context(atomic_write(path)), reader.rate)
                )
            number += 1
            if writer is not None:
                writer.write(frame.drawn, frame.time)
            if isinstance(instances := frame.output.get("instances"), Instances):
                with_instances = True
                objects += len(instances)
                tracks.update(frame.tracks or ())
                columns = {"frame": number, "time": round(frame.time, 4)}
                files.add(number, source.name, instances, columns=columns, tracks=frame.tracks)
            if progress is not None:
                progress(number, reader.count)
    written = [path] if draw else []
    if with_instances:
        written += files.write(folder, f"{source.output}_")
    told = counted(number, "frame")
    if with_instances:
        in_tracks = "" if tracking == "none" else f" in {counted(len(tracks), 'track')}"
        told += f", {counted(objects, 'object')}{in_tracks}"
    return told, written
