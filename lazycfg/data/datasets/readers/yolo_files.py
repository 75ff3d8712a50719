"""The files of a data set in YOLO's layout: the images of each split, and the names of the classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lazycfg.utils import closest, printable

from ..coco_validation import AnnotationError, is_whole
from ..image_files import is_image_name, list_images, locate, read_lines, read_text

SPLITS = ("train", "val", "test")
_ALIASES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_DARKNET_KEYS = {"train", "names"}
_LONGEST_DARKNET = 2**16  # bytes
_NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt")


@dataclass
class YoloFiles:
    """A data set in YOLO's layout.

    Attributes:
        source: ``data.yaml`` or darknet's ``obj.data``, or the folder where there is none.
        names: of the classes, by number.
        splits: folders of images, or files that list them, by the name of the split; one of name "" where
            the data set is not split.
        keypoints: names of the keypoints; empty for boxes and polygons.
        keypoint_numbers: how many numbers a keypoint has, 2 or 3.
        flip_indices: which keypoint takes the place of which when the image is mirrored.
        missing: what is wrong with a split that is not there, by its name.
        warnings: what looks wrong, by the name of the split.
    """

    source: Path
    names: tuple[str, ...]
    splits: dict[str, list[Path]]
    keypoints: tuple[str, ...] = ()
    keypoint_numbers: int = 3
    flip_indices: tuple[int, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)


def find_yolo(data: str | os.PathLike[str], class_names: Sequence[str] | None = None) -> YoloFiles:
    """Return the files that a ``data.yaml`` or an ``obj.data`` of darknet names, or that lie in a folder as
    YOLO's do.

    Raises:
        FileNotFoundError: there are no such files.
        AnnotationError: ``data.yaml`` is not as it should be, or nothing tells the names of the classes.
    """
    path = Path(data)
    if path.is_dir():
        found = description_file(path)
        if found is None:
            return _from_folder(path, class_names)
        path = found
    if not path.is_file():
        raise FileNotFoundError(
            f"no file or folder {str(path)!r}: give data.yaml, or the folder that it is in"
        )
    return (_from_darknet if path.suffix.lower() == ".data" else _from_yaml)(path, class_names)


def description_file(folder: Path) -> Path | None:
    """Return the file that names the parts of a data set in a folder: ``data.yaml``; where it has another
    name, the file with a split and "names"; else darknet's ``obj.data``.
    """
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")], key=lambda p: (p.stem != "data", p.name))
    for file in files:
        try:
            content = yaml.safe_load(read_text(file, "file"))
        except (yaml.YAMLError, AnnotationError):
            if file.stem == "data":
                return file  # for the message
            continue
        keys = set(content) if isinstance(content, dict) else set()
        if keys & set(SPLITS) and (keys & {"names", "nc"} or file.stem == "data"):
            return file
    return next(filter(is_darknet, sorted(folder.glob("*.data"))), None)


def is_darknet(file: Path) -> bool:
    """Return whether a file is darknet's ``obj.data``; other programs have files of this ending, too."""
    with suppress(AnnotationError):  # it is binary
        return file.stat().st_size < _LONGEST_DARKNET and _settings(file).keys() >= _DARKNET_KEYS
    return False


def _settings(path: Path) -> dict[str, str]:
    """Return the lines ``key = value`` of a file of darknet."""
    pairs = [line.partition("=") for _, line in read_lines(path, "file")]
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def images_of(entries: Sequence[Path]) -> list[Path]:
    """Return the images of a split: those below a folder, and those that a text file lists.

    Raises:
        AnnotationError: a list names an image that is not there.
    """
    images: list[Path] = []
    for entry in entries:
        if entry.is_dir():
            images += list_images(entry)
            continue
        for number, line in read_lines(entry, "list of images"):
            path = locate(entry.parent, line)
            if path is None:
                raise AnnotationError(f"{entry}:{number}: there is no image {printable(line)!r}")
            images.append(path)
    return images


def label_file(image: Path) -> Path:
    """Return the file of labels that belongs to an image, which need not be there.

    The last folder "images" of the path becomes "labels"; if there is no such file, labels may lie beside the
    image.
    """
    beside = image.with_suffix(".txt")
    for number in range(len(image.parts) - 2, -1, -1):
        if image.parts[number].lower() == "images":
            paths = [
                Path(*image.parts[:number], folder, *image.parts[number + 1 :]).with_suffix(".txt")
                for folder in ("labels", "Labels")
            ]
            return next((path for path in (*paths, beside) if path.is_file()), paths[0])
    return beside


def _from_yaml(path: Path, class_names: Sequence[str] | None) -> YoloFiles:
    try:
        content = yaml.safe_load(read_text(path, "file"))
    except yaml.YAMLError as error:
        raise AnnotationError(f"{path} is not YAML: {printable(' '.join(str(error).split()))}") from None
    if not isinstance(content, dict):
        raise AnnotationError(f"{path} is no data.yaml of YOLO: expected keys such as 'train' and 'names'")
    names = _names(path, content) if class_names is None else tuple(class_names)
    files = YoloFiles(path, names, {})
    for split in SPLITS:
        entries = content.get(split)
        if entries is None and split == "val":
            entries = content.get("valid", content.get("validation"))
        if not entries:
            continue
        entries = [entries] if isinstance(entries, str) else entries
        if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
            raise AnnotationError(f"{path}: {split} must be a folder, a list file or a list of them")
        found = [_resolve(files, content, split, entry) for entry in entries]
        files.splits[split] = [path for path in found if path is not None]
    if not files.splits:
        raise AnnotationError(
            f"{path} names no images: it needs 'train', 'val' or 'test', a folder of images"
        )
    _read_keypoints(files, content)
    return files


def _from_darknet(path: Path, class_names: Sequence[str] | None) -> YoloFiles:
    """Read what darknet is given, and CVAT exports as "YOLO 1.1": lists of images, labels beside these."""
    content = _settings(path)
    if class_names is None:
        if "names" not in content:
            raise AnnotationError(f"{path} has no 'names', the file of the names of the classes")
        listed = locate(path.parent, content["names"])
        if listed is None or not listed.is_file():
            raise AnnotationError(f"{path}: there is no file of names {content['names']!r}")
        class_names = [name for _, name in read_lines(listed, "list of classes")]
        count = content.get("classes")
        if count is not None and count != str(len(class_names)):
            raise AnnotationError(
                f"{path}: classes is {count!r}, and there are {len(class_names)} names in {listed}"
            )
    files = YoloFiles(path, tuple(class_names), {})
    for split, aliases in _ALIASES.items():
        for key in aliases:
            if key in content and split not in files.splits:
                found = _resolve(files, {}, split, content[key])
                files.splits[split] = [] if found is None else [found]
    if not files.splits:
        raise AnnotationError(
            f"{path} names no images: it needs 'train', 'valid' or 'test', a list of images"
        )
    return files


def _resolve(files: YoloFiles, content: dict[str, Any], split: str, entry: str) -> Path | None:
    base = files.source.parent
    given = content.get("path")
    roots = [base]
    if isinstance(given, str):
        root = locate(base, given)
        if root is not None and root.is_dir():
            roots.insert(0, root)
    for root in roots:
        path = locate(root, entry)
        if path is not None:
            written = Path(os.path.normpath(base / (given or "") / entry))
            # Roboflow writes "../train/images", CVAT "data/train.txt", and both mean what is beside the file.
            beside = root / entry.partition("/")[2] if entry.startswith(("../", "data/")) else written
            if path.resolve() not in (written.resolve(), beside.resolve()):
                text = f"{split}: there is no {printable(written)}; taken: {path}"
                files.warnings.setdefault(split, []).append(text)
            return path
    tried = ", ".join(str(root / entry) for root in roots)
    files.missing[split] = f"there is no folder or file {entry!r} (tried: {tried})"
    return None


def _names(path: Path, content: dict[str, Any]) -> tuple[str, ...]:
    names = content.get("names")
    if names is None:
        near = closest("names", [str(key) for key in content])
        raise AnnotationError(f"{path} has no 'names', the names of the classes{near}")
    if isinstance(names, dict):
        wrong = sorted(set(range(len(names))) ^ set(names), key=str)
        if wrong:
            raise AnnotationError(
                f"{path}: names must have the numbers 0 to {len(names) - 1}, each once; wrong: {wrong[:5]}"
            )
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(n, str | int | float) for n in names):
        raise AnnotationError(f"{path}: names must be a list of names, or a dict of number and name")
    count = content.get("nc")
    if count is not None and count != len(names):
        raise AnnotationError(f"{path}: nc is {count!r}, and there are {len(names)} names")
    return tuple(str(name) for name in names)


def _read_keypoints(files: YoloFiles, content: dict[str, Any]) -> None:
    shape = content.get("kpt_shape")
    if shape is None:
        return
    if not (
        isinstance(shape, list) and len(shape) == 2 and all(map(is_whole, shape))
        and shape[0] > 0 and shape[1] in (2, 3)
    ):  # fmt: skip
        raise AnnotationError(
            f"{files.source}: kpt_shape must be [number of keypoints, 2 or 3], got {printable(shape)}"
        )
    count, files.keypoint_numbers = shape
    names = content.get("kpt_names")
    if isinstance(names, dict):
        names = next(iter(names.values()), None)
    files.keypoints = tuple(f"keypoint {number}" for number in range(count))
    if isinstance(names, list) and len(names) == count and len(set(map(str, names))) == count:
        files.keypoints = tuple(map(str, names))
    flip = content.get("flip_idx")
    if flip is not None:
        if not isinstance(flip, list) or sorted(map(str, flip)) != sorted(map(str, range(count))):
            raise AnnotationError(
                f"{files.source}: flip_idx must have each of the numbers 0 to {count - 1} once"
            )
        files.flip_indices = tuple(flip)


def _from_folder(folder: Path, class_names: Sequence[str] | None) -> YoloFiles:
    if class_names is None:
        for name in _NAME_FILES:
            for place in (folder, folder / "labels"):
                if class_names is None and (place / name).is_file():
                    class_names = [line for _, line in read_lines(place / name, "list of classes")]
    if not class_names:
        raise AnnotationError(
            f"{folder} has no data.yaml and no classes.txt, which tell the names of the classes: write one, "
            "or give class_names=[...]"
        )
    splits: dict[str, list[Path]] = {}
    for split, aliases in _ALIASES.items():
        for alias in aliases:
            for place in (folder / "images" / alias, folder / alias / "images", folder / alias):
                if split not in splits and place.is_dir():
                    splits[split] = [place]
    if not splits:
        place = folder / "images" if (folder / "images").is_dir() else folder
        if not any(is_image_name(name) for name in os.listdir(place)):
            raise FileNotFoundError(f"there are no images in {str(place)!r}")
        splits[""] = [place]
    return YoloFiles(folder, tuple(class_names), splits)
