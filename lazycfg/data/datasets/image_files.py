"""Finding files by names that were written elsewhere: on another machine, with other endings."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lazycfg.config.suggest import closest_name
from lazycfg.utils import closest, printable

from .coco_validation import AnnotationError

IMAGE_SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".jpe",
        ".png",
        ".webp",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".jp2",
        ".avif",
    )
)
"""Endings, in small letters, of files that are taken for images when a folder is looked through."""

_MOST_COMPARED = 2000  # names that a misspelled one is compared with, letter by letter


def list_images(folder: Path) -> list[Path]:
    """Return the images in a folder and the folders below it, in the order of their names."""
    return sorted(path for path in folder.rglob("*") if is_image_name(path.name) and path.is_file())


def is_image_name(name: str) -> bool:
    """Return whether a file of this name is taken for an image; hidden ones are not."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def locate(folder: Path, name: str) -> Path | None:
    r"""Return the file or folder that `name` means, seen from `folder`; None if there is none.

    It is taken as written first. Else it may come from another machine: separators of Windows are read as
    such, and the folders that it begins with are left out one after the other, until what remains is there
    (``C:\\data\\pets\\images\\a.jpg`` -> ``images/a.jpg``).
    """
    if "\0" in name:
        return None
    path = folder / name
    if os.path.exists(path):
        return path
    parts = [part for part in re.split(r"[\\/]+", name) if part not in ("", ".")]
    for start in range(len(parts)):
        path = folder.joinpath(*parts[start:])
        if ".." not in parts[start:] and os.path.exists(path):
            return path
    return None


class ImageIndex:
    """The images in some folders, found by name or by the name without its ending, whatever its case.

    Args:
        folders: where they lie; the folders below these are not looked through.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self.paths: list[Path] = []
        self._by_name: dict[str, Path] = {}
        self._by_stem: dict[str, Path] = {}
        for folder in folders:
            if folder.is_dir():
                names = sorted(name for name in os.listdir(folder) if is_image_name(name))
                self.paths += [folder / name for name in names]
        for path in self.paths:
            for key, by in ((path.name, self._by_name), (path.stem, self._by_stem)):
                by.setdefault(key, path)
                by.setdefault(key.lower(), path)

    def find(self, name: str) -> Path | None:
        """Return the image of a name, with its ending."""
        return self._by_name.get(name) or self._by_name.get(name.lower())

    def has_stem(self, stem: str) -> bool:
        """Return whether there is an image of a name without ending, in this case."""
        return stem in self._by_stem

    def find_stem(self, stem: str) -> Path | None:
        """Return the image of a name without ending."""
        return self._by_stem.get(stem) or self._by_stem.get(stem.lower())

    def near(self, name: str) -> str:
        """Return the end of a message: the image that may have been meant by a name."""
        same = self.find_stem(os.path.splitext(name)[0])
        if same is not None:
            return f"; did you mean {same.name!r}?"
        if len(self.paths) > _MOST_COMPARED:
            return ""
        near = closest_name(os.path.splitext(name)[0], [path.stem for path in self.paths])
        return "" if near is None else f"; did you mean {self._by_stem[near].name!r}?"


def read_text(path: Path, what: str) -> str:
    """Return the text of a file in UTF-8, with or without a byte order mark, or in UTF-16 with one.

    Raises:
        AnnotationError: it is in neither of them.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise AnnotationError(
            f"{what} {printable(path)} is not text in UTF-8: save it in UTF-8 ({error})"
        ) from None


def read_lines(path: Path, what: str) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line that is not empty, without spaces around it.

    Raises:
        AnnotationError, OSError: see `read_text`.
    """
    for number, line in enumerate(read_text(path, what).splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def missing_files(root: Path, file_names: Sequence[str]) -> set[str]:
    """Return those of the names that are not in `root`; each folder is listed once."""
    listings: dict[str, set[str]] = {}
    missing = set()
    for name in file_names:
        folder, base = os.path.split(os.path.join(root, name))
        if folder not in listings:
            listings[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        if base not in listings[folder]:
            missing.add(name)
    return missing


class SimilarFiles:
    """Tells which file may have been meant by one that is not there; each folder is listed once."""

    def __init__(self) -> None:
        self._listings: dict[Path, dict[str, str]] = {}

    def near(self, path: Path) -> str:
        """Return the end of a message, `""` if no file of the folder has a name like that of `path`.

        A name that differs in case or ending is told first (``a.JPG`` for ``a.jpg``).
        """
        if path.parent not in self._listings:
            names = sorted(os.listdir(path.parent)) if path.parent.is_dir() else []
            self._listings[path.parent] = {os.path.splitext(name)[0].lower(): name for name in names[::-1]}
        by_stem = self._listings[path.parent]
        if not by_stem and not path.parent.is_dir():
            return f": there is no folder {str(path.parent)!r}"
        same = by_stem.get(path.stem.lower())
        if same is not None:
            return f"; did you mean {same!r}?"
        return closest(path.name, by_stem.values()) if len(by_stem) <= _MOST_COMPARED else ""
