"""What was found in images, as a line of text, as COCO's results, and as a table."""

import csv
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lazycfg.data import AnnotationError
from lazycfg.data.datasets.coco_files import read_coco_json
from lazycfg.evaluation.coco_ground_truth import category_ids
from lazycfg.evaluation.predictions import ImagePrediction
from lazycfg.structures import Instances
from lazycfg.utils import atomic_write, counted

from .sources import is_url

__all__ = ["ImageIds", "ResultFiles", "found_text"]

logger = logging.getLogger(__name__)

_CORNERS = ("x1", "y1", "x2", "y2")
_ROTATED = ("xc", "yc", "width", "height", "angle")


class ImageIds:
    """The ids of images and categories in the files that are written.

    Args:
        metadata: of the data that the model was trained on.
        annotations: a COCO file whose ids are taken, so that the results can be scored with it, and whose
            names are, where the metadata has none. None: images count from 1, and categories have the ids of
            the data that the model was trained on.

    Raises:
        AnnotationError: the file does not have the model's classes, or is no annotation file.
    """

    def __init__(self, metadata: Any, annotations: str | Path | None = None) -> None:
        self.names = tuple(getattr(metadata, "thing_classes", None) or ())
        self.file = annotations
        self._next = 1
        self._by_name: dict[str, list[tuple[tuple[str, ...], Any]]] = {}
        self._given: dict[Any, str] = {}
        self._categories: list[int] | None = None
        self._metadata = metadata
        if annotations is not None:
            self._read(read_coco_json(Path(annotations), need_annotations=False))

    def _read(self, content: Mapping[str, Any]) -> None:
        try:
            for image in content["images"]:
                parts = _parts(image["file_name"])
                self._by_name.setdefault(parts[-1], []).append((parts, image["id"]))
            by_name = {category["name"]: category["id"] for category in content["categories"]}
        except (KeyError, TypeError, IndexError) as error:
            raise AnnotationError(f"{self.file} is no annotation file of COCO: {error!r}") from error
        if not self.names:  # the weights hold none: classes count in the order of the ids, as when training
            self.names = tuple(sorted(by_name, key=by_name.__getitem__))
            self._categories = [by_name[name] for name in self.names]
            return
        if lacking := [name for name in self.names if name not in by_name]:
            shown = ", ".join(lacking[:5]) + (", ..." if len(lacking) > 5 else "")
            raise AnnotationError(
                f"{self.file} has no category for {len(lacking)} of the {len(self.names)} classes of the "
                f"model: {shown}"
            )
        self._categories = [by_name[name] for name in self.names]

    def image(self, name: str) -> Any:
        """Return the id of an image: in the file of ids it is the one whose path ends most like its own.

        Raises:
            AnnotationError: the file of ids does not have it, has several of its name, or its id is that of
                another image.
        """
        if self.file is None:
            self._next += 1
            return self._next - 1
        own = _parts(unquote(urlsplit(name).path) if is_url(name) else name)
        named = self._by_name.get(own[-1], [])
        likeness = [_likeness(parts, own) for parts, _ in named]
        found = [id for (_, id), like in zip(named, likeness, strict=True) if like == max(likeness)]
        if len(found) != 1:
            there = f"has {len(found)} images of this name" if found else "does not have this image"
            raise AnnotationError(f"{name}: {self.file} {there}")
        if (other := self._given.setdefault(found[0], name)) != name:
            raise AnnotationError(
                f"{name}: {self.file} has one image of this name, and {other} has it, too; predict on one "
                "of them"
            )
        return found[0]

    def categories(self, count: int) -> list[int]:
        """Return the ids of the classes 0, 1, ... of which there are at least ``count``."""
        if self._categories is not None:
            return self._categories
        return category_ids(self._metadata, max(count, len(self.names)))

    def name(self, label: int) -> str:
        """Return the name of a class; its number where it has none."""
        return self.names[label] if label < len(self.names) else str(label)


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"[/\\]+", name) if part not in ("", "."))


def _likeness(parts: tuple[str, ...], own: tuple[str, ...]) -> tuple[int, bool]:
    """Return how many last parts two paths share, and whether these are the whole of the first."""
    shared = 0
    for part, other in zip(reversed(parts), reversed(own), strict=False):
        if part != other:
            break
        shared += 1
    return shared, shared == len(parts)


@dataclass
class ResultFiles:
    """Collects what was found, for ``predictions.json`` (COCO's results), ``predictions.csv`` and
    ``images.json`` (the images and categories, as a COCO file has them).

    Attributes:
        ids: of images and categories.
        columns: names of further columns of the table, which `add` is given.
    """

    ids: ImageIds
    columns: tuple[str, ...] = ()
    images: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    _classes: int = 0

    def add(
        self,
        image_id: Any,
        file_name: str,
        instances: Instances,
        *,
        columns: Mapping[str, Any] | None = None,
        tracks: Sequence[int] | None = None,
    ) -> None:
        """Take in what was found in one image.

        Args:
            image_id: for the results.
            file_name: of the image.
            instances: with ``pred_boxes``, ``scores``, ``pred_classes``; in pixels of the image.
            columns: further columns of the table, and entries of the image; such as the time of a frame.
            tracks: the number of the track of each instance.
        """
        height, width = instances.image_size
        found = ImagePrediction.from_instances(image_id, instances)
        self._classes = max(self._classes, int(found.classes.max(initial=-1)) + 1)
        results = found.to_coco(self.ids.categories(self._classes))
        self.images.append(
            {"id": image_id, "file_name": file_name, "width": width, "height": height, **(columns or {})}
        )
        names = _ROTATED if found.boxes.shape[1] == 5 else _CORNERS
        for index, (result, label, score, box) in enumerate(
            zip(results, found.classes.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
        ):
            track = {} if tracks is None else {"track": tracks[index]}
            if tracks is not None:
                result["track_id"] = tracks[index]
            self.rows.append(
                {
                    "image": file_name,
                    **(columns or {}),
                    **track,
                    "class": label,
                    "name": self.ids.name(label),
                    "score": f"{score:.4f}",
                    **{name: f"{value:.2f}" for name, value in zip(names, box, strict=True)},
                }
            )
        self.results += results

    def write(self, folder: Path, prefix: str = "") -> list[Path]:
        """Write the files into a folder, and return their paths.

        A warning tells of objects of classes that have no name.
        """
        if 0 < len(self.ids.names) < self._classes:
            logger.warning(
                "the model finds classes up to %d, and the weights name %d (%s, ...): are they those of the "
                "model?",
                self._classes - 1,
                len(self.ids.names),
                self.ids.names[0],
            )
        ids = self.ids.categories(self._classes)
        categories = [{"id": id, "name": self.ids.name(label)} for label, id in enumerate(ids)]
        paths = [
            folder / f"{prefix}{name}" for name in ("predictions.json", "images.json", "predictions.csv")
        ]
        contents = (self.results, {"images": self.images, "annotations": [], "categories": categories})
        for path, content in zip(paths, contents, strict=False):
            with atomic_write(path) as partial:
                partial.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
        empty = ["image", *self.columns, "class", "name", "score", *_CORNERS]
        columns = list(self.rows[0]) if self.rows else empty
        with atomic_write(paths[2]) as partial, partial.open("w", encoding="utf-8", newline="") as stream:
            table = csv.DictWriter(stream, columns, lineterminator="\n")
            table.writeheader()
            table.writerows(self.rows)
        return paths


def above(instances: Instances, threshold: float) -> Instances:
    """Return the instances of at least a score."""
    return instances[instances.scores >= threshold]


def found_text(instances: Instances, threshold: float, names: Iterable[str] = ()) -> str:
    """Return in words what was found: ``3 objects: 2 cat, 1 dog``, or ``nothing above 0.5, best 0.31``.

    Args:
        instances: all that were found.
        threshold: those of lower scores do not count.
        names: of the classes 0, 1, ...
    """
    kept = above(instances, threshold)
    if not len(instances):
        return "nothing found"
    if not len(kept):
        return f"nothing above {threshold:g}, best {float(instances.scores.max()):.2f}"
    known = tuple(names)
    counts = Counter(kept.pred_classes.tolist()).most_common()
    told = ", ".join(
        f"{count:,} {known[label] if label < len(known) else f'of class {label}'}" for label, count in counts
    )
    return f"{counted(len(kept), 'object')}: {told}"
