"""Frames of video files, in and out, by PyAV."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import numpy as np

__all__ = ["VideoError", "VideoReader", "VideoWriter", "import_av", "open_video"]

logger = logging.getLogger(__name__)

_TICKS = 60_000  # of a second, to which times are rounded: the usual frame rates are whole numbers of them


class VideoError(ValueError):
    """A file that cannot be read as a video."""


def import_av() -> Any:
    """Return PyAV.

    Raises:
        ImportError: it is not installed; says how to install it.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError("videos are read by PyAV: pip install 'lazycfg[video]'") from error
    return av


def open_video(path: str | os.PathLike[str]) -> Any:
    """Return the container of a video, open to be read.

    Raises:
        FileNotFoundError, VideoError: it cannot be read, or has no video in it.
        ImportError: PyAV is not installed.
    """
    av = import_av()
    if not os.path.isfile(path):
        raise FileNotFoundError(f"no such video: {os.fspath(path)!r}")
    try:
        container = av.open(os.fspath(path))
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{os.fspath(path)}: cannot be read as a video: {error}") from error
    if not container.streams.video:
        container.close()
        raise VideoError(f"{os.fspath(path)}: there is no video in it")
    return container


def guarded(path: str | os.PathLike[str], items: Any) -> Iterator[Any]:
    """Yield the items; an error of the decoder names the video.

    Raises:
        VideoError: the decoder fails.
    """
    from av.error import FFmpegError

    try:
        yield from items
    except FFmpegError as error:
        raise VideoError(f"{os.fspath(path)}: the video is damaged: {error}") from error


class VideoReader:
    """The frames of a video, one after the other.

    Args:
        path: of the video.

    Attributes:
        rate: frames per second, on average; None if the file does not say.
        count: how many frames the file says that it has; 0 if it does not say.

    Raises:
        FileNotFoundError, VideoError: it cannot be read.
        ImportError: PyAV is not installed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        with open_video(path) as container:
            stream = container.streams.video[0]
            self.rate: Fraction | None = stream.average_rate or stream.guessed_rate
            self.count: int = stream.frames

    def __iter__(self) -> Iterator[tuple[np.ndarray, float]]:
        """Yield each frame (H, W, 3) uint8, RGB, upright, and its time in seconds from the first.

        A warning tells of a video that ends much earlier than it says.

        Raises:
            VideoError: the video is damaged, has no frames, or frames of several sizes.
        """
        first = last = size = None
        with open_video(self.path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in guarded(self.path, container.decode(stream)):
                image = frame.to_ndarray(format="rgb24")
                if quarters := round(_turned(frame) / 90) % 4:
                    image = np.ascontiguousarray(np.rot90(image, quarters))
                size = size or image.shape
                if image.shape != size:
                    (height, width), (other, another) = size[:2], image.shape[:2]
                    raise VideoError(
                        f"{os.fspath(self.path)}: its frames are {width}x{height} at first and "
                        f"{another}x{other} later on: give them one size, as by ffmpeg -i IN -vf "
                        "scale=WIDTH:HEIGHT OUT"
                    )
                time = frame.time
                if time is None:
                    time = 0.0 if last is None else last + float(1 / (self.rate or 25))
                first = time if first is None else first
                last = time
                yield image, time - first
            duration = _duration(stream)
        if first is None or last is None:
            raise VideoError(f"{os.fspath(self.path)}: there are no frames in the video")
        if last + max(1.0, 0.1 * duration) < duration:
            logger.warning(
                "%s ends after %.1f of the %.1f seconds that it says it has: was it cut off?",
                os.fspath(self.path),
                last,
                duration,
            )


def _duration(stream: Any) -> float:
    """Return the time in seconds at which a stream says that it ends; 0 if it does not say."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")  # of Matroska
    minutes, _, seconds = rest.partition(":")
    try:
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return 0.0


def _turned(frame: Any) -> float:
    """Return by how many degrees, counter-clockwise, a frame is to be turned: as the phone was held."""
    return float(getattr(frame, "rotation", 0) or 0)


class VideoWriter:
    """Writes frames as an MP4 file, in H.264 where FFmpeg has it; a context manager.

    Args:
        path: of the file.
        rate: frames per second, which the file tells; each frame has its own time.

    Raises:
        ImportError: PyAV is not installed.
    """

    def __init__(self, path: str | os.PathLike[str], rate: Fraction | float | None = None) -> None:
        self._av = import_av()
        self._container = self._av.open(os.fspath(path), "w", format="mp4")
        self._rate = Fraction(rate or 25).limit_denominator(1001)
        self._stream: Any = None
        self._last = -1

    def write(self, image: np.ndarray, time: float) -> None:
        """Write a frame (H, W, 3) uint8, RGB, shown from a time in seconds on; all are of one size."""
        height, width = image.shape[:2]
        if self._stream is None:
            self._stream = self._make(height, width)
        # Colours are stored for squares of 2 x 2 pixels
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.time_base = Fraction(1, _TICKS)
        self._last = frame.pts = max(round(time * _TICKS), self._last + 1)
        self._container.mux(self._stream.encode(frame))

    def _make(self, height: int, width: int) -> Any:
        codec = "libx264" if "libx264" in self._av.codecs_available else "mpeg4"
        stream = self._container.add_stream(codec, rate=self._rate)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS)
        stream.options = {"crf": "20"} if codec == "libx264" else {"q:v": "3"}
        return stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None and error is None:
            self._container.mux(self._stream.encode(None))
        self._container.close()
