"""Maps with a label for every pixel: found beside their images, or made of panoptic segments."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lazycfg.utils.segment_ids import rgb2id

from ..image import ImageError, read_array
from .image_files import list_images

IGNORE = 255
"""The label of pixels that are neither trained nor evaluated."""


def read_labels(file_name: str | os.PathLike[str]) -> np.ndarray:
    """Read the labels (H, W) of an image of one channel, as they are: uint8, or uint16 and wider for many
    classes.

    Raises:
        FileNotFoundError: no such file.
        ImageError: it is no image, a JPEG, one with colours, or one of floating point numbers.
    """
    refuse_jpeg(file_name, "label map")
    labels = read_array(file_name, what="label map")
    if labels.ndim != 2:
        raise ImageError(
            f"label map {os.fspath(file_name)!r} is an image of {labels.shape[-1]} channels, expected one of "
            "labels: are its labels colours?"
        )
    if labels.dtype.kind == "f":
        raise ImageError(f"label map {os.fspath(file_name)!r} holds floating point numbers, expected labels")
    return labels


def refuse_jpeg(file_name: str | os.PathLike[str], what: str) -> None:
    """Raise if a file whose values stand for something is a JPEG, which blends neighbouring values.

    Raises:
        FileNotFoundError: no such file.
        ImageError: it is one.
    """
    with open(file_name, "rb") as file:
        is_jpeg = file.read(3) == b"\xff\xd8\xff"
    if is_jpeg:
        raise ImageError(
            f"{what} {os.fspath(file_name)!r} is a JPEG, whose compression changes values near contours: "
            "export it as PNG"
        )


def read_segment_ids(file_name: str | os.PathLike[str]) -> np.ndarray:
    """Read the segment ids (H, W) int64 of a panoptic PNG.

    Raises:
        FileNotFoundError: no such file.
        ImageError: it is no image.
    """
    return rgb2id(read_array(file_name, "RGB", what="panoptic map"))


def labels_of_segments(
    segment_ids: np.ndarray, label_of_id: Mapping[int, int], ignore_label: int = IGNORE
) -> np.ndarray:
    """Labels (H, W) uint8 of segment ids (H, W): `ignore_label` where an id is not in `label_of_id`."""
    if not label_of_id:
        return np.full(segment_ids.shape, ignore_label, dtype=np.uint8)
    ids = np.array(sorted(label_of_id))
    labels = np.array([label_of_id[i] for i in ids.tolist()], dtype=np.uint8)
    position = np.searchsorted(ids, segment_ids).clip(max=len(ids) - 1)
    return np.where(ids[position] == segment_ids, labels[position], np.uint8(ignore_label))


def find_pairs(
    image_root: str | os.PathLike[str],
    gt_root: str | os.PathLike[str],
    image_ext: str | None,
    gt_ext: str | None,
) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Return images and label maps of the same path below their folders, but for the ending.

    Args:
        image_ext, gt_ext: the endings, such as "jpg" or "_mask.png"; None: any of an image.

    Returns:
        (image, label map) in the order of their names, and what lacks its partner, in words.

    Raises:
        FileNotFoundError: no such folder, or no such files in it.
    """
    images = _files_below(Path(image_root), image_ext, "images")
    maps = _files_below(Path(gt_root), gt_ext, "label maps")
    lonely = [f"{images[name]} has no label map" for name in sorted(set(images) - set(maps))]
    lonely += [f"{maps[name]} has no image" for name in sorted(set(maps) - set(images))]
    return [(images[name], maps[name]) for name in sorted(set(images) & set(maps))], lonely


def _files_below(root: Path, ext: str | None, what: str) -> dict[str, Path]:
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {str(root)!r} of {what}")
    if ext is None:
        images = {p.relative_to(root).with_suffix("").as_posix(): p for p in list_images(root)}
        if not images:
            raise FileNotFoundError(f"no {what} below {str(root)!r}")
        return images
    ending = ext if ext[:1] in "._-" else f".{ext}"
    files = {p.relative_to(root).as_posix()[: -len(ending)]: p for p in root.rglob(f"*{ending}")}
    if not files:
        endings: dict[str, Any] = {p.suffix: None for p in root.rglob("*") if p.is_file()}
        there = f"; there are files with {', '.join(sorted(endings))}" if endings else ""
        raise FileNotFoundError(f"no {what} with the ending {ending!r} below {str(root)!r}{there}")
    return files
