"""Telling which format a file or folder of annotations has, and opening it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lazycfg.utils import closest

from ...image import ImageError
from ..coco import CocoDataset
from ..coco_validation import AnnotationError
from ..image_files import is_image_name, list_images, read_lines
from ..label_maps import IGNORE, read_labels
from ..lvis import LVISDataset
from ..sem_seg import SemSegDataset
from .box_csv import BoxCSVDataset
from .cvat import CVATDataset
from .hugging_face import HuggingFaceDataset
from .instance_masks import InstanceMaskDataset
from .labelme import LabelMeDataset
from .panoptic import open_panoptic
from .voc import VOC_CLASSES, VOCDataset
from .yolo import YoloDataset
from .yolo_files import description_file, find_yolo, is_darknet

SPLIT_FOLDERS = ("train", "training", "val", "valid", "validation", "test", "testing")
_HEAD = 2**16  # bytes at the begin and at the end of a file by which it is recognised
_IMAGE_FOLDERS = ("images", "image", "imgs", "img", "JPEGImages")
_MASK_FOLDERS = ("masks", "mask", "labels", "annotations", "gt", "segmentation", "SegmentationClass")
_CLASS_FILES = ("classes.txt", "labels.txt", "class_names.txt")


@dataclass(frozen=True, eq=False)
class Part:
    """A data set that was found: all of a file or folder, or one split of it.

    Attributes:
        format: one of `FORMATS`.
        name: of the split; empty for the whole.
        make: the class that reads it.
        arguments: of the class.
    """

    format: str
    name: str
    make: Callable[..., Any]
    arguments: dict[str, Any] = field(default_factory=dict)

    def open(self, **arguments: Any) -> Any:
        """Return the data set; `arguments` are further ones of its class."""
        return self.make(**{**self.arguments, **arguments})


def open_dataset(
    path: str | os.PathLike[str], split: str | None = None, *, format: str | None = None, **arguments: Any
) -> Any:
    """Open the dataset in a file or folder, whatever its format.

    Args:
        path: annotation file, or folder.
        split: name of a part, such as "train"; "val" is also found as "valid" or "validation". None where
            there is one part only.
        format: one of `FORMATS`; None: recognised.
        arguments: of the class that reads it, such as ``on_error="skip"``.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: the format is not recognised, or there is no such split.
    """
    parts = find_parts(path, format)
    return choose_part(parts, split, str(path)).open(**arguments)


def choose_part(parts: list[Part], split: str | None, path: str) -> Part:
    """Return the part of a split.

    Raises:
        ValueError: there is none of this name, or several and no name.
    """
    names = [part.name for part in parts]
    if split is None:
        if len(parts) == 1:
            return parts[0]
        raise ValueError(f"{path} has the parts {', '.join(names)}: say which (split)")
    aliases = (split, *(("valid", "validation") if split == "val" else ()))
    for alias in aliases:
        for part in parts:
            if part.name == alias:
                return part
    alike = [part for part in parts if re.search(rf"(?:^|_){re.escape(split)}(?:\d|_|$)", part.name)]
    if len(alike) == 1:  # instances_train2017
        return alike[0]
    having = ", ".join(names) if any(names) else "one part only: give split=None"
    raise ValueError(f"{path} has no part {split!r}{closest(split, names)}; it has {having}")


def find_parts(path: str | os.PathLike[str], format: str | None = None) -> list[Part]:
    """Return the data sets that a file or folder holds.

    Args:
        format: one of `FORMATS`; None: recognised, in the order of `FORMATS`.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: no format fits; tells what was looked for.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise ValueError(
            f"format must be one of {', '.join(FORMATS)}, got {format!r}{closest(format, FORMATS)}"
        )
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {str(path)!r}")
    if parts := _parts_in(path, format):
        return parts
    there = ", ".join(sorted(os.listdir(path))[:8]) if path.is_dir() else ""
    wanted = f"no data set of the format {format}" if format else "no data set of a format that is known"
    known = "" if format else f". Known are {', '.join(FORMATS)}"
    raise ValueError(f"{path} is {wanted}{f' (in it: {there or None})' if path.is_dir() else ''}{known}")


def _parts_in(path: Path, format: str | None) -> list[Part]:
    """Return the data sets in a file or folder; of a folder that is none, those in the folders in it: splits,
    the years of Pascal VOC, or the only one, as archives are unpacked.
    """
    if parts := _of_a_format(path, format):
        return parts
    if not path.is_dir():
        return []
    folders = [f for f in sorted(path.iterdir()) if f.is_dir() and not f.name.startswith((".", "__MACOSX"))]
    splits = [folder for folder in folders if folder.name.lower() in SPLIT_FOLDERS]
    if parts := [replace(part, name=f.name) for f in splits for part in _of_a_format(f, format)]:
        return parts
    if len(folders) == 1:
        return _parts_in(folders[0], format)
    years = [folder for folder in folders if re.fullmatch(r"VOC\d{4}", folder.name)]
    return [
        replace(part, name="_".join(filter(None, (folder.name, part.name))))
        for folder in years
        for part in _of_a_format(folder, format)
    ]


def _of_a_format(path: Path, format: str | None) -> list[Part]:
    names = FORMATS if format is None else (format,)
    return next((parts for name in names if (parts := list(FORMATS[name](path)))), [])


def _hugging_face(path: Path) -> Iterator[Part]:
    if (path / "dataset_dict.json").is_file():
        for folder in sorted(path.iterdir()):
            if (folder / "state.json").is_file():
                arguments = {"dataset": path, "split": folder.name}
                yield Part("huggingface", folder.name, HuggingFaceDataset, arguments)
    elif (path / "state.json").is_file() and (path / "dataset_info.json").is_file():
        yield Part("huggingface", "", HuggingFaceDataset, {"dataset": path})


def _coco(path: Path) -> Iterator[Part]:
    if path.is_file():
        ends = _ends(path) if path.suffix.lower() == ".json" else b""
        if _has_key(ends, "segments_info"):
            yield Part("coco", "", open_panoptic, {"panoptic_json": path})
        elif _has_key(ends, "images") and _has_key(ends, "categories"):
            lvis = _has_key(ends, "neg_category_ids") or _has_key(ends, "not_exhaustive_category_ids")
            yield Part("coco", "", LVISDataset if lvis else CocoDataset, {"json_file": path})
        return
    files = [
        file
        for folder in (path, path / "annotations", *_split_folders(path))
        for file in _files(folder, ".json")
    ]
    found = [(file, part) for file in files for part in _coco(file)]
    for file, part in found:
        name = file.parent.name if file.name.startswith("_annotations") else file.stem
        single = len(found) == 1 and file.parent == path
        yield Part("coco", "" if single else name, part.make, part.arguments)


def _yolo(path: Path) -> Iterator[Part]:
    if path.is_file():
        if path.suffix.lower() not in (".yaml", ".yml") and not (
            path.suffix.lower() == ".data" and is_darknet(path)
        ):
            return
    elif description_file(path) is None and not any(
        _looks_like_yolo(folder) for folder in _label_folders(path)
    ):
        return
    for split in find_yolo(path).splits:
        yield Part("yolo", split, YoloDataset, {"data": path, "split": split or None})


def _label_folders(path: Path) -> Iterator[Path]:
    for folder in (path, path / "images", *_split_folders(path)):
        yield from (folder, folder / "labels")
    yield from _split_folders(path / "labels")


def _looks_like_yolo(folder: Path) -> bool:
    """Return whether the first file of text in a folder that is not empty has lines of numbers."""
    for file in _files(folder, ".txt")[:20]:
        try:
            lines = [line for _, line in read_lines(file, "file")]
        except AnnotationError:
            continue
        if lines:
            words = lines[0].split()
            if len(words) > 4 and all(re.fullmatch(r"[-+.\deE]+", word) for word in words):
                return True
    return False


def _cvat(path: Path) -> Iterator[Part]:
    files = [path] if path.is_file() else _files(path, ".xml")
    found = [file for file in files if file.suffix.lower() == ".xml" and _root_tag(file) == "annotations"]
    for file in found:
        yield Part("cvat", file.stem if len(found) > 1 else "", CVATDataset, {"xml_file": file})


def _voc(path: Path) -> Iterator[Part]:
    if path.is_file():
        return
    folders = [path / "Annotations", path / "annotations", path / "labels", path]
    files = next((files for folder in folders if (files := _files(folder, ".xml"))), [])
    if not any(_root_tag(file) == "annotation" for file in files[:20]):
        return
    challenge = re.fullmatch(r"VOC(2007|2012)", path.resolve().name)
    arguments: dict[str, Any] = {"root": path, "class_names": VOC_CLASSES if challenge else None}
    lists = {file.stem for file in _files(path / "ImageSets" / "Main", ".txt")}
    splits = [split for split in ("train", "val", "test") if split in lists]
    splits = splits or [split for split in ("trainval",) if split in lists]
    for split in splits:
        yield Part("voc", split, VOCDataset, {**arguments, "split": split})
    if not splits:
        yield Part("voc", "", VOCDataset, arguments)


def _labelme(path: Path) -> Iterator[Part]:
    if path.is_file():
        return
    for folder in (path, path / "annotations", path / "labels", path / "json"):
        if any(_has_key(_ends(file), "shapes") for file in _files(folder, ".json")[:20]):
            yield Part("labelme", "", LabelMeDataset, {"root": folder if folder == path else path})
            return


def _csv(path: Path) -> Iterator[Part]:
    files = [path] if path.is_file() else _files(path, ".csv")
    if path.is_file() and path.suffix.lower() != ".csv":
        return
    for file in files:
        head = _ends(file)[:300].decode("utf-8", "replace").splitlines()[:1]
        if path.is_file() or (head and re.search(r"x_?min|XMin", head[0])):
            yield Part("csv", file.stem if len(files) > 1 else "", BoxCSVDataset, {"csv_file": file})


def _masks(path: Path) -> Iterator[Part]:
    for images, masks in _mask_pairs(path):
        if any((masks / file.stem).is_dir() for file in list_images(images)[:20]):
            return  # a folder of masks for each image
        arguments: dict[str, Any] = {"image_root": images, "sem_seg_root": masks, "image_ext": None}
        name = images.name if images.parent.name in _IMAGE_FOLDERS else ""
        arguments.update(_classes_of_masks(path, masks), sem_seg_ext=_ending(masks))
        yield Part("masks", name, SemSegDataset, arguments)


def _instance_masks(path: Path) -> Iterator[Part]:
    for images, masks in _mask_pairs(path):
        name = images.name if images.parent.name in _IMAGE_FOLDERS else ""
        names = _class_file(path) or ["object"]
        arguments = {"image_root": images, "mask_root": masks, "class_names": names}
        yield Part("instance-masks", name, InstanceMaskDataset, arguments)


def _mask_pairs(path: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the folders of images and of their masks."""
    if not path.is_dir():
        return
    folders = {name: path / name for name in os.listdir(path) if (path / name).is_dir()}
    images = next((folders[name] for name in _IMAGE_FOLDERS if name in folders), None)
    masks = [folders[name] for name in _MASK_FOLDERS if name in folders]
    if images is None:
        return
    for folder in masks:
        if not any(is_image_name(file.name) for file in folder.rglob("*")):
            continue
        splits = [split.name for split in _split_folders(images) if (folder / split.name).is_dir()]
        for split in splits:
            yield images / split, folder / split
        if not splits:
            yield images, folder
        return


def _ending(masks: Path) -> str | None:
    """Return the common ending of masks, such as "_mask.png"; None for those that are named as the images."""
    for ending in ("_mask.png", "-mask.png", "_masks.png", "_label.png", "_gt.png", "_labelIds.png"):
        files = list_images(masks)
        if files and all(file.name.endswith(ending) for file in files):
            return ending
    return None


def _class_file(path: Path) -> list[str]:
    for name in _CLASS_FILES:
        if (path / name).is_file():
            return [line for _, line in read_lines(path / name, "list of classes")]
    return []


def _classes_of_masks(path: Path, masks: Path) -> dict[str, Any]:
    """Return classes and, for maps of 0 and 255, the label map of the masks in a folder."""
    values: set[int] = set()
    for file in list_images(masks):
        try:
            values |= set(np.unique(read_labels(file)).tolist())
        except (ImageError, OSError):  # told when it is read again
            continue
    names = _class_file(path)
    if values == {0, IGNORE} and len(names) in (0, 2):
        return {"stuff_classes": names or ["background", "object"], "label_map": {0: 0, IGNORE: 1}}
    highest = max((value for value in values if value != IGNORE), default=0)
    return {"stuff_classes": names or [f"label {number}" for number in range(highest + 1)]}


def _split_folders(path: Path) -> list[Path]:
    return [path / name for name in SPLIT_FOLDERS if (path / name).is_dir()]


def _files(folder: Path, suffix: str) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        folder / name
        for name in os.listdir(folder)
        if name.lower().endswith(suffix) and not name.startswith(".") and (folder / name).is_file()
    )


def _ends(path: Path) -> bytes:
    """Return the first and the last bytes of a file."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(max(len(head), path.stat().st_size - _HEAD))
        return head + file.read()


def _has_key(content: bytes, key: str) -> bool:
    return re.search(rb'"%s"\s*:' % key.encode(), content) is not None


def _root_tag(path: Path) -> str:
    found = re.search(rb"<\s*([A-Za-z]\w*)[\s/>]", _ends(path)[:4096].replace(b"\0", b""))
    return found[1].decode() if found else ""


FORMATS: dict[str, Callable[[Path], Iterator[Part]]] = {
    "huggingface": _hugging_face,
    "coco": _coco,
    "yolo": _yolo,
    "cvat": _cvat,
    "voc": _voc,
    "labelme": _labelme,
    "csv": _csv,
    "masks": _masks,
    "instance-masks": _instance_masks,
}
"""The formats that are recognised, by name."""
