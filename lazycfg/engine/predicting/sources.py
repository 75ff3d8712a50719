"""Images and videos, named by files, folders, patterns and URLs."""

import glob
import logging
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from lazycfg.checkpoint.download import download
from lazycfg.checkpoint.remote import RemoteFile, file_at_url
from lazycfg.data.datasets.image_files import is_image_name, list_images

__all__ = ["ImageSource", "VideoSource", "find_sources", "is_url", "refuse_own_results"]

logger = logging.getLogger(__name__)

_VIDEO_SUFFIXES = frozenset(
    (
        ".3gp",
        ".avi",
        ".flv",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ogv",
        ".webm",
        ".wmv",
    )
)
_DRAWN = "images"  # in the folder of results
_MADE = (_DRAWN, "labels", "panoptic")
_MOST_BYTES = {"image": 2**28, "video": 2**33}  # of a file that is downloaded


@dataclass(frozen=True)
class ImageSource:
    """An image to predict on.

    Attributes:
        name: as the user is told of it, and as result files name it.
        place: the file, here or on a server.
        output: the path, without ending, of what is drawn of it, relative to the folder of the results.
    """

    name: str
    place: Path | RemoteFile
    output: str

    def local(self) -> Path:
        """Return the file, downloading it if it is elsewhere.

        Raises:
            DownloadError: it cannot be had.
        """
        return download(self.place) if isinstance(self.place, RemoteFile) else self.place


class VideoSource(ImageSource):
    """A video to predict on; attributes as of `ImageSource`."""


def is_url(word: str) -> bool:
    """Return whether a word is the URL of a file on a web server."""
    return re.match(r"https?://", word, re.IGNORECASE) is not None


def find_sources(
    words: Iterable[str], downloads: Path, videos: Iterable[str] = (), *, results: Path | None = None
) -> tuple[list[ImageSource], list[VideoSource]]:
    """Return the images and the videos that words name, each once.

    Args:
        words: files, folders (with all below them), patterns such as ``"shots/*.jpg"`` or ``"**/*.png"``, and
            URLs, also ``file:`` ones. A file that is not there is kept: it is told when it is opened. A name
            that ends like that of a video is one.
        downloads: the folder for files of URLs; nothing is downloaded yet.
        videos: further files and URLs, which are videos whatever their names are.
        results: the folder that is written into. Where it holds results of an earlier run, folders and
            patterns are taken without them.

    Raises:
        FileNotFoundError: a folder or a pattern holds no images, or a name is empty.
        CheckpointError: a URL names no file.
    """
    found: list[tuple[str, str, str]] = []  # name, path or URL, output
    for word in map(_plain, words):
        if not is_url(word) and os.path.isdir(word):
            files = _without_results(list_images(Path(word)), Path(word), results)
            if not files:
                raise FileNotFoundError(f"no images in the folder {word} or below it")
            found += [(str(file), str(file), str(file.relative_to(word).with_suffix(""))) for file in files]
        elif not is_url(word) and glob.has_magic(word) and not os.path.lexists(word):
            files = [Path(file) for file in sorted(glob.glob(word, recursive=True)) if _is_wanted(file)]
            files = _without_results(files, _fixed_part(word), results)
            if not files:
                raise FileNotFoundError(f"no image matches {word!r}")
            found += [(str(file), str(file), file.stem) for file in files]
        else:
            found.append((word, word, _stem(word)))
    forced = [(word, word, _stem(word)) for word in map(_plain, videos)]
    sources = {ImageSource: dict[str, ImageSource](), VideoSource: dict[str, ImageSource]()}
    taken: set[str] = set()
    for number, (name, place, output) in enumerate([*found, *forced]):
        kind = VideoSource if number >= len(found) or _is_video(place) else ImageSource
        key = place if is_url(place) else os.path.realpath(place)
        if key not in sources[kind]:
            at = _remote(place, kind, downloads) if is_url(place) else Path(place)
            sources[kind][key] = kind(name, at, _free(output, taken))
    images, clips = list(sources[ImageSource].values()), list(sources[VideoSource].values())
    return images, [clip for clip in clips if isinstance(clip, VideoSource)]


def refuse_own_results(sources: Iterable[ImageSource], results: Path, *, draw: bool) -> None:
    """Refuse results that would be written over one of the images or videos that they are of.

    Args:
        sources: images and videos.
        results: the folder that is written into.
        draw: whether images and videos are drawn.

    Raises:
        FileExistsError: names the file.
    """
    own = list(sources)
    read = {os.path.realpath(each.place): each.name for each in own if isinstance(each.place, Path)}
    for each in own:
        if isinstance(each, VideoSource):
            written = [results / f"{each.output}.mp4"] if draw else []
        else:
            endings = {name: ".jpg" if name == _DRAWN else ".png" for name in _MADE if draw or name != _DRAWN}
            written = [results / name / f"{each.output}{ending}" for name, ending in endings.items()]
        name = next((read[path] for path in map(os.path.realpath, written) if path in read), None)
        if name is not None:
            raise FileExistsError(
                f"{name} would be replaced by what is found in it: choose another folder with -o DIR"
            )


def _plain(word: str) -> str:
    """Return the path that a ``file:`` URL names; other words as they are.

    Raises:
        FileNotFoundError: the word is empty.
    """
    if not word:
        raise FileNotFoundError("the name of an image is empty; is a variable of the shell not set?")
    match = re.match(r"file://(?:localhost)?(?=/)", word, re.IGNORECASE)
    return url2pathname(word[match.end() :]) if match else word


def _fixed_part(pattern: str) -> Path:
    """Return the folder that a pattern begins with."""
    parts = Path(pattern).parts
    count = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return Path(*parts[:count])


def _without_results(files: list[Path], root: Path, results: Path | None) -> list[Path]:
    """Return the files but those that an earlier run made in the folder of results."""
    if results is None or not (any(results.glob("*predictions.json")) or (results / "labels").is_dir()):
        return files
    root, inside = root.resolve(), results.resolve()
    is_below = inside != root and inside.is_relative_to(root)
    made = [inside] if is_below else [inside / name for name in _MADE]
    made = [folder for folder in made if not root.is_relative_to(folder)]  # else they are asked for
    kept = [file for file in files if not any(file.resolve().is_relative_to(folder) for folder in made)]
    if len(kept) < len(files):
        logger.warning(
            "left out as results of an earlier run: %d of the files, in %s", len(files) - len(kept), results
        )
    return kept


def _remote(url: str, kind: type[ImageSource], downloads: Path) -> RemoteFile:
    what = "video" if kind is VideoSource else "image"
    return file_at_url(url, kind=what, folder=downloads, most_bytes=_MOST_BYTES[what])


def _is_wanted(file: str) -> bool:
    return os.path.isfile(file) and (is_image_name(os.path.basename(file)) or _is_video(file))


def _is_video(place: str) -> bool:
    path = urlsplit(place).path if is_url(place) else place
    return os.path.splitext(path)[1].lower() in _VIDEO_SUFFIXES


def _stem(word: str) -> str:
    name = Path(unquote(urlsplit(word).path)).stem if is_url(word) else Path(word).stem
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]+', "_", name).strip(". ") or "image"


def _free(output: str, taken: set[str]) -> str:
    """Return a name that no other result has, also where capitals and small letters are the same."""
    name, number = output, 1
    while name.lower() in taken:
        number += 1
        name = f"{output}_{number}"
    taken.add(name.lower())
    return name
