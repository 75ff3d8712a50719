"""Frames of videos and images without annotations, for a teacher to look at."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lazycfg.utils.video import VideoError, guarded, open_video

__all__ = [
    "ImageListDataset",
    "SelectFrames",
    "VideoError",
    "VideoKeyframeDataset",
    "list_keyframes",
    "read_keyframes",
    "read_list_of_files",
]


def list_keyframes(path: str | os.PathLike[str]) -> list[int]:
    """Return the times of the key frames of a video, in the units of its first video stream, in order.

    Nothing is decoded.

    Raises:
        FileNotFoundError, VideoError: it cannot be read.
        ImportError: PyAV is not installed.
    """
    with open_video(path) as container:
        packets = guarded(path, container.demux(container.streams.video[0]))
        return sorted({p.pts for p in packets if p.is_keyframe and p.pts is not None})


def read_keyframes(path: str | os.PathLike[str], times: Sequence[int]) -> list[np.ndarray]:
    """Return frames (H, W, 3) uint8, RGB, of a video.

    Args:
        path: of the video.
        times: of key frames, as `list_keyframes` gives them.

    Raises:
        FileNotFoundError, VideoError: it cannot be read, or has no frame at a time.
        ImportError: PyAV is not installed.
    """
    frames = []
    with open_video(path) as container:
        stream = container.streams.video[0]
        for time in times:
            guarded(path, iter([container.seek(time, stream=stream)]))
            found = next((f for f in guarded(path, container.decode(stream)) if f.pts >= time), None)
            if found is None:
                raise VideoError(f"{os.fspath(path)}: there is no frame at time {time}")
            frames.append(found.to_ndarray(format="rgb24"))
    return frames


class SelectFrames:
    """Chooses some frames of a video.

    Args:
        strategy: "random_k", "first_k" or "last_k"; "all" for all of them.
        count: k; a video with fewer frames gives all of its. None for "all".
    """

    def __init__(
        self,
        *,
        strategy: Literal["random_k", "first_k", "last_k", "all"] = "random_k",
        count: int | None = 4,
    ) -> None:
        known = ("random_k", "first_k", "last_k", "all")
        if strategy not in known:
            raise ValueError(f"SelectFrames: strategy is one of {', '.join(known)}, got {strategy!r}")
        if (strategy == "all") != (count is None) or (count is not None and count < 1):
            raise ValueError(
                f"SelectFrames(strategy={strategy!r}, count={count!r}): a count of at least 1 goes with "
                "random_k, first_k and last_k, None with all"
            )
        self.strategy, self.count = strategy, count

    def __call__(self, times: Sequence[int], rng: np.random.Generator) -> list[int]:
        """Return the chosen ones of the times, in their order."""
        if self.count is None or len(times) <= self.count:
            return list(times)
        if self.strategy == "first_k":
            return list(times[: self.count])
        if self.strategy == "last_k":
            return list(times[-self.count :])
        chosen = rng.choice(len(times), self.count, replace=False)
        return [times[i] for i in sorted(chosen.tolist())]


def read_list_of_files(path: str | os.PathLike[str], root: str | os.PathLike[str] = "") -> list[str]:
    """Read the names of files, one in a line; they start at `root`. Empty lines are passed over.

    Raises:
        FileNotFoundError: there is no such list.
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [os.path.join(root, line.strip()) for line in lines if line.strip()]


class _FilesOfFrames:
    """Files, each with some frames.

    Args:
        files: paths, or the path of a list of them, which start at `root`.
        root: see `read_list_of_files`.

    Raises:
        ValueError: there are no files.
    """

    def __init__(
        self, *, files: Sequence[str] | str | os.PathLike[str], root: str | os.PathLike[str] = ""
    ) -> None:
        if isinstance(files, (str, os.PathLike)):
            self.files = read_list_of_files(files, root)
        else:
            self.files = [os.path.join(root, file) for file in files]
        if not self.files:
            raise ValueError(f"{type(self).__name__}: there are no files in {files!r}")

    def __len__(self) -> int:
        return len(self.files)


class VideoKeyframeDataset(_FilesOfFrames):
    """Some key frames of each of several videos.

    Args:
        files: paths of videos, or of a list of them.
        root: where the paths start.
        select: times of key frames and a generator -> the chosen times, as `SelectFrames`.
    """

    def __init__(
        self,
        *,
        files: Sequence[str] | str | os.PathLike[str],
        root: str | os.PathLike[str] = "",
        select: Callable[[Sequence[int], np.random.Generator], Sequence[int]] | None = None,
    ) -> None:
        super().__init__(files=files, root=root)
        self.select = select or SelectFrames()

    def frames(self, index: int, rng: np.random.Generator) -> list[dict[str, Any]]:
        """Return records of the frames of one video: "image" (H, W, 3) uint8 RGB, "file_name", "frame_time".

        Raises:
            FileNotFoundError, VideoError: it cannot be read.
        """
        path = self.files[index]
        times = list(self.select(list_keyframes(path), rng))
        images = read_keyframes(path, times)
        return [
            {"image": image, "file_name": path, "frame_time": time}
            for image, time in zip(images, times, strict=True)
        ]


class ImageListDataset(_FilesOfFrames):
    """Images, each of which is one frame; arguments as `VideoKeyframeDataset` without `select`."""

    def frames(self, index: int, rng: np.random.Generator) -> list[dict[str, Any]]:
        """Return the record of one image: "file_name"."""
        return [{"file_name": self.files[index]}]
