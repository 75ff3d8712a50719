"""Data sets with DensePose annotations."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from lazycfg.data import CocoDataset, LVISDataset
from lazycfg.data.datasets.base import Record
from lazycfg.data.datasets.coco_validation import AnnotationError, Problem
from lazycfg.utils import printable

from ..structures import MESH_NAMES, DensePoseDataRelative
from .validation import DENSEPOSE_KEYS, densepose_problem

__all__ = ["DensePoseCocoDataset", "DensePoseLVISDataset", "has_densepose", "has_densepose_or_masks"]

FRAME_KEYS = ("frame_id", "vid_id", "ignore_regions_x", "ignore_regions_y")
"""Of images, kept in the records: where a frame is from, and the polygons in which nothing is annotated."""


class _WithDensePose(CocoDataset):
    """What data sets with DensePose annotations have in common."""

    def __init__(
        self,
        *,
        json_file: str | os.PathLike[str],
        mesh_names: Sequence[str] = MESH_NAMES,
        category_ids: Sequence[int] | None = None,
        category_map: Mapping[int, int] | None = None,
        extra_annotation_keys: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        self.mesh_names = tuple(mesh_names)
        self._category_ids = None if category_ids is None else frozenset(category_ids)
        self._category_map = dict(category_map or {})
        keys = tuple(dict.fromkeys((*DENSEPOSE_KEYS, *extra_annotation_keys)))
        super().__init__(json_file=json_file, extra_annotation_keys=keys, **kwargs)

    def read_file(self) -> dict[str, Any]:
        """Return the annotations in COCO's layout."""
        data = super().read_file()
        return _with_categories(data, self._category_ids, self._category_map, self.json_file)

    def further_image_problem(self, image: dict[str, Any]) -> Problem | None:
        """Return what is wrong with an image beyond COCO's rules, or None."""
        xs, ys = (image.get(f"ignore_regions_{axis}") or [] for axis in "xy")
        fits = isinstance(xs, list) and isinstance(ys, list) and len(xs) == len(ys)
        if not fits or any(
            not isinstance(x, list) or not isinstance(y, list) or len(x) != len(y)
            for x, y in zip(xs, ys, strict=False)
        ):
            return Problem(
                "wrong ignore_regions",
                "ignore_regions_x and ignore_regions_y must be lists of polygons, as many numbers in each",
            )
        return super().further_image_problem(image)

    def further_problem(self, annotation: dict[str, Any], image: dict[str, Any]) -> Problem | None:
        """Return what is wrong with an annotation beyond COCO's rules, or None."""
        problem = super().further_problem(annotation, image)
        if problem is not None:
            return problem
        if annotation.get("ignore"):
            return Problem("ignored", f"ignore must be 0, got {annotation['ignore']!r}")
        where = f"annotation {printable(annotation.get('id'))} of {printable(image['file_name'])}"
        wrong = densepose_problem(annotation, self.mesh_names)
        # Its box is as good as before
        if not self._log.accept("DensePose annotation", where, wrong):
            DensePoseDataRelative.cleanup_annotation(annotation)
        return None

    def make_records(
        self, images: list[dict[str, Any]], by_image: dict[Any, list[dict[str, Any]]], extra: tuple[str, ...]
    ) -> Any:
        """Yield the records, with what this kind of data set has besides."""
        for image, record in zip(images, super().make_records(images, by_image, extra), strict=True):
            record["dataset"] = self.metadata.name
            record.update({key: image[key] for key in FRAME_KEYS if image.get(key) is not None})
            yield record


class DensePoseCocoDataset(_WithDensePose):
    """A `CocoDataset` whose annotations may have points on surfaces: "dp_x", "dp_y", "dp_I", "dp_U", "dp_V",
    "dp_masks", "dp_vertex" and "ref_model", see `DensePoseDataRelative`. Records have them under these names,
    and the name of the data set as "dataset".

    Images of videos may have "frame_id" and "vid_id", and "ignore_regions_x" and "ignore_regions_y", polygons
    in which nothing is annotated; records have them, too.

    Args:
        json_file: annotation file.
        mesh_names: that "ref_model" may name.
        category_ids: of the file, that are used; annotations of others are left out. None: all.
        category_map: from ids of the file to the id that stands for them.
        kwargs: the arguments of `CocoDataset`. With on_error="skip" an object whose DensePose annotation
            cannot be right is kept without it.

    Raises:
        AnnotationError: an annotation that cannot be right; the message names file, image and annotation.
    """

    validated = True


class DensePoseLVISDataset(_WithDensePose, LVISDataset):
    """An `LVISDataset` with DensePose annotations, see `DensePoseCocoDataset`.

    Args:
        folder_prefix: before the last two parts of an image's "coco_url": the published files are used with
            "coco_", for folders ``coco_train2017`` and ``coco_val2017``.
        kwargs: the arguments of `DensePoseCocoDataset` and `LVISDataset`.
    """

    validated = True

    def __init__(self, *, folder_prefix: str = "", **kwargs: Any) -> None:
        self._folder_prefix = folder_prefix
        super().__init__(**kwargs)

    def read_file(self) -> dict[str, Any]:
        """Return the annotations in COCO's layout."""
        data = super().read_file()
        for image in data["images"]:
            if isinstance(image, dict) and image.get("coco_url"):
                image["file_name"] = self._folder_prefix + str(image.get("file_name"))
        return data

    def further_image_problem(self, image: dict[str, Any]) -> Problem | None:
        """Return what is wrong with an image beyond COCO's rules, or None."""
        # of categories that are used, since others are not in the file for `LVISDataset`
        for key in ("neg_category_ids", "not_exhaustive_category_ids"):
            if self._category_ids is not None and isinstance(image.get(key), list):
                image[key] = [number for number in image[key] if number in self._listed]
        return super().further_image_problem(image)


def has_densepose(record: Record) -> bool:
    """Return whether an object of a record that is no crowd has a DensePose annotation: for
    ``FilteredDataset(keep=...)``.
    """
    return any(
        not a.get("iscrowd") and DensePoseDataRelative.validate_annotation(a)[0]
        for a in record["annotations"]
    )


def has_densepose_or_masks(record: Record) -> bool:
    """Return whether an object of a record that is no crowd has a DensePose annotation or a mask: for
    ``FilteredDataset(keep=...)`` where the coarse segmentation is trained by masks.
    """
    return has_densepose(record) or any(
        not a.get("iscrowd") and bool(a.get("segmentation")) for a in record["annotations"]
    )


def _with_categories(
    data: dict[str, Any], used: frozenset[int] | None, mapped: dict[int, int], source: str
) -> dict[str, Any]:
    """Leave out annotations of categories that are not used, and replace categories by others."""
    if used is None and not mapped:
        return data
    named: set[Any] = {entry.get("id") for entry in data["categories"] if isinstance(entry, dict)}
    unknown = sorted(set(used or ()) | set(mapped) | set(mapped.values()), key=str)
    unknown = [number for number in unknown if number not in named]
    if unknown:
        raise AnnotationError(
            f"{source}: category_ids or category_map name {unknown}, which are not among the ids of the "
            f"file's categories"
        )
    annotations = []
    for entry in data["annotations"]:
        number = entry.get("category_id") if isinstance(entry, dict) else None
        if used is not None and number in named and number not in used:
            continue
        if number in mapped:
            entry = {**entry, "category_id": mapped[number]}
        annotations.append(entry)
    kept = {mapped.get(number, number) for number in (named if used is None else set(used))}
    categories = [c for c in data["categories"] if not isinstance(c, dict) or c.get("id") in kept]
    return {**data, "annotations": annotations, "categories": categories}
