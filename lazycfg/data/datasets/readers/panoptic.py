"""Panoptic files in COCO's format, with their folders found."""

from __future__ import annotations

import os
from typing import Any, Literal

from ..coco_files import find_image_root, read_coco_json
from ..coco_panoptic import CocoPanopticDataset
from ..coco_validation import MissingImagesError


def open_panoptic(
    *,
    panoptic_json: str | os.PathLike[str],
    panoptic_root: str | os.PathLike[str] | None = None,
    image_root: str | os.PathLike[str] | None = None,
    separated: bool = False,
    on_error: Literal["raise", "skip"] = "raise",
    **arguments: Any,
) -> CocoPanopticDataset:
    """Return the data set of a panoptic file.

    Args:
        panoptic_root, image_root: folders of the PNG files and of the images; None: looked for near the file,
            see `candidate_roots`.
        separated, on_error, arguments: see `CocoPanopticDataset`.

    Raises:
        FileNotFoundError: a file or folder is missing.
        AnnotationError: the file is no panoptic one, or has a record that cannot be right.
    """
    data = read_coco_json(panoptic_json)
    if panoptic_root is None:
        panoptic_root = _found(panoptic_json, data["annotations"], "panoptic_root")
    if image_root is None:
        image_root = _found(panoptic_json, data["images"], "image_root")
    return CocoPanopticDataset(
        panoptic_json=panoptic_json,
        panoptic_root=panoptic_root,
        image_root=image_root,
        separated=separated,
        on_error=on_error,
        **arguments,
    )


def _found(panoptic_json: str | os.PathLike[str], entries: list[Any], argument: str) -> str:
    """Return the folder that holds the files of some entries.

    Raises:
        FileNotFoundError: there is none.
    """
    names = [e["file_name"] for e in entries if isinstance(e, dict) and isinstance(e.get("file_name"), str)]
    try:
        return str(find_image_root(os.fspath(panoptic_json), names))
    except MissingImagesError as error:
        message, advice = str(error).removesuffix(error.advice), error.advice
        raise MissingImagesError(
            message, {argument: "FOLDER"}, advice.replace("image_root=", f"{argument}=")
        ) from None
