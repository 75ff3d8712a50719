"""Datasets annotated in COCO's JSON format."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from .annotated import AnnotatedImages
from .base import Record
from .coco_files import candidate_roots, find_image_root, read_coco_json


class CocoDataset(AnnotatedImages):
    """Images with boxes, masks and keypoints from a COCO annotation file.

    Category ids become 0, 1, 2... in the order of the ids. Images without annotations are kept (see
    `FilteredDataset`), and so are crowd regions ("iscrowd": 1). Keypoints are moved by half a pixel, from
    pixel indices to continuous coordinates.

    File names may be absolute or contain "..": tools write such files, and nothing but an image is read.

    Args:
        json_file: annotation file.
        image_root: folder the file names start from; None: looked for near `json_file`, see
            `candidate_roots`.
        name: for logs and reports; the stem of `json_file` when None.
        on_error: "raise" at the first image that is missing or annotation that cannot be right, or "skip"
            those and count them in `problems`; see `AnnotatedImages`.
        verify_images: True: also open every image and compare its size with the file's (reads headers only).
            None: the images must be there. False: they are not looked for, to evaluate detections where the
            images are not.
        annotated: False: a file of test images, which has no "annotations"; its records have no objects.
        extra_annotation_keys, ignore_keys, ignore_categories, keypoint_flip_map, keypoint_oks_sigmas: see
            `AnnotatedImages`.

    Attributes:
        metadata, problems, faults, warnings, summary, image_sizes: see `AnnotatedImages`.

    Raises:
        FileNotFoundError: annotation file or images not found; the message lists where it was looked.
        AnnotationError: a record that cannot be right; the message names file, image and annotation.
    """

    validated = True

    def __init__(
        self,
        *,
        json_file: str | os.PathLike[str],
        image_root: str | os.PathLike[str] | None = None,
        name: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        verify_images: bool | None = None,
        annotated: bool = True,
        extra_annotation_keys: Sequence[str] = (),
        ignore_keys: Sequence[str] = (),
        ignore_categories: Sequence[str] = (),
        keypoint_flip_map: Sequence[tuple[str, str]] | None = None,
        keypoint_oks_sigmas: Sequence[float] = (),
    ) -> None:
        self.json_file = str(json_file)
        self._annotated = annotated
        super().__init__(
            self.json_file,
            image_root=image_root,
            name=name or Path(json_file).stem,
            on_error=on_error,
            verify_images=verify_images,
            extra_annotation_keys=extra_annotation_keys,
            ignore_keys=ignore_keys,
            ignore_categories=ignore_categories,
            keypoint_flip_map=keypoint_flip_map,
            keypoint_oks_sigmas=keypoint_oks_sigmas,
        )

    def read_file(self) -> dict[str, Any]:
        """Return the contents of `json_file`, in COCO's layout: for a subclass whose files differ from it."""
        return read_coco_json(self.json_file, need_annotations=self._annotated)

    def find_root(self, names: Sequence[str], verify_images: bool | None) -> str:
        """Return the folder that file names are relative to, if none was given."""
        if verify_images is not False:
            return str(find_image_root(self.json_file, names))
        try:
            return str(find_image_root(self.json_file, names))
        except FileNotFoundError:  # they need not be there
            return str(candidate_roots(self.json_file)[0])


def load_coco_json(
    json_file: str | os.PathLike[str],
    image_root: str | os.PathLike[str] | None = None,
    *,
    extra_annotation_keys: Sequence[str] = (),
) -> list[Record]:
    """Return the records of a COCO file as a list; `CocoDataset` also knows the names of the classes.

    Args:
        json_file: the annotations.
        image_root: folder of the images; None looks for it, see `CocoDataset`.
        extra_annotation_keys: of annotations, to be kept in the records.

    Raises:
        FileNotFoundError, AnnotationError: as `CocoDataset` does.
    """
    dataset = CocoDataset(
        json_file=json_file, image_root=image_root, extra_annotation_keys=extra_annotation_keys
    )
    return [dataset[index] for index in range(len(dataset))]
