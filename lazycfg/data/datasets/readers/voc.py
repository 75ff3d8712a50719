"""Pascal VOC: an XML file for each image."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal
from xml.etree.ElementTree import Element

from lazycfg.utils import closest, printable

from ...image import ImageError, read_image_size
from ..annotated import WHERE, AnnotatedImages
from ..coco_validation import AnnotationError, Problem
from ..image_files import ImageIndex, locate, read_lines
from .classes import ClassNames
from .xml_files import number_in, read_xml

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""The 20 classes of Pascal VOC 2007 and 2012."""

_FLAGS = ("difficult", "truncated", "occluded")


class VOCDataset(AnnotatedImages):
    """Images with boxes from XML files in the format of Pascal VOC.

    VOC lays them out as ``Annotations/<id>.xml``, ``JPEGImages/<id>.jpg`` and, for the splits,
    ``ImageSets/Main/<split>.txt``; the images may also lie in ``images``, beside the XML files, or where
    these say. An image is known by the name of its XML file, which is its "image_id".

    The pixels of VOC count from 1: the first two numbers of a box are one less in a record, the others are
    the same, as its right and lower edges. Annotations have "difficult", "truncated" and "occluded", each 0
    or 1, where the file has them; difficult objects are kept.

    Args:
        root: ``VOC2007``, or the folder of XML files.
        split: name of a list in ``ImageSets/Main``; None: all XML files.
        class_names: of the classes, in their order; None: those that are found, by the alphabet.
        first_pixel: number of the first pixel, 1 as in VOC. Some tools count from 0.
        year: of the challenge, by which `PascalVOCDetectionEvaluator` computes AP (2007: at 11 points);
            ``metadata.extra["year"]``. None: as in the name of `root`, such as ``VOC2007``, else 2012.
        name: for logs and reports; the names of folder and split when None.
        on_error: "raise" at the first file or object that cannot be right, or "skip" those and count them in
            `problems`.
        verify_images: see `AnnotatedImages`. The size of an image is read from it where the XML file does not
            tell.
        ignore_categories: names of classes that are left out, with their objects.

    Attributes:
        metadata, problems, faults, warnings, summary, image_sizes: see `AnnotatedImages`.

    Raises:
        FileNotFoundError: files or folders are missing; the message lists where they were looked for.
        AnnotationError: an object that cannot be right; the message names file, object and reason.
    """

    validated = True

    def __init__(
        self,
        *,
        root: str | os.PathLike[str],
        split: str | None = None,
        class_names: Sequence[str] | None = VOC_CLASSES,
        first_pixel: int = 1,
        year: int | None = None,
        name: str | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        verify_images: bool | None = None,
        ignore_categories: Sequence[str] = (),
    ) -> None:
        self.root = Path(root)
        self._split = split
        if first_pixel not in (0, 1):
            raise ValueError(f"VOCDataset: first_pixel must be 0 or 1, got {first_pixel!r}")
        self._first_pixel = first_pixel
        self._classes = ClassNames(class_names, "class_names")
        self._xml_folder = xml_folder(self.root)
        self._index = ImageIndex(
            dict.fromkeys(
                (
                    self.root / "JPEGImages",
                    self.root / "images",
                    self._xml_folder,
                    self._xml_folder.parent / "images",
                    self.root,
                )
            )
        )
        self._before_first = 0
        self._stale_names: list[str] = []
        folder_name = self.root.resolve().name
        super().__init__(
            f"{self.root} ({split})" if split else str(self.root),
            image_root=self.root,
            name=name or "_".join(filter(None, (folder_name, split))),
            on_error=on_error,
            verify_images=verify_images,
            extra_annotation_keys=_FLAGS,
            ignore_categories=ignore_categories,
        )
        if year is None:
            found = re.search(r"(?:19|20)\d\d", folder_name)
            year = int(found[0]) if found else 2012
        self.metadata = self.metadata.replace(extra={"year": year})
        del self._index

    def further_warnings(self) -> list[str]:
        """Return further warnings about the data set as a whole."""
        result = self._classes.warnings()
        if self._before_first:
            result.append(
                f"{self._before_first} boxes begin before pixel 1: does the tool count pixels from 0? "
                "first_pixel=0 reads them so"
            )
        if self._stale_names:
            result.append(
                f"{len(self._stale_names)} XML files tell another file name than their own, which was taken "
                f"(first: {self._stale_names[0]})"
            )
        return result

    def read_file(self) -> dict[str, Any]:
        """Return the annotations in COCO's layout."""
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for path in self._xml_files():
            where = os.path.relpath(path, self.root)
            try:
                element = read_xml(path)
            except (AnnotationError, OSError) as error:
                self._log.accept("XML file", printable(where), Problem("unreadable", str(error)))
                continue
            if element.tag != "annotation":
                text = f"its root is <{element.tag}>, expected <annotation>"
                self._log.accept("XML file", printable(where), Problem("no annotation of VOC", text))
                continue
            image = self._image(path, element)
            if isinstance(image, Problem):
                self._log.accept("image", printable(where), image)
                continue
            images.append(image)
            for number, found in enumerate(element.iter("object"), start=1):
                name = found.findtext("name") or ""
                entry = self._object(found)
                here = f"{printable(where)}: object {number} ({printable(name.strip())!r})"
                if isinstance(entry, Problem):
                    self._log.accept("annotation", here, entry)
                else:
                    annotations.append({**entry, "image_id": image["id"], WHERE: here})
        return self._classes.coco(images, annotations, self._log)

    def _xml_files(self) -> Iterator[Path]:
        files = {
            path.stem: path for path in sorted(self._xml_folder.iterdir()) if path.suffix.lower() == ".xml"
        }
        if self._split is None:
            yield from files.values()
            return
        folder = self.root / "ImageSets" / "Main"
        listed = folder / f"{self._split}.txt"
        if not listed.is_file():
            lists = [path.stem for path in sorted(folder.glob("*.txt"))] if folder.is_dir() else []
            raise FileNotFoundError(
                f"no list {str(listed)!r} of the images of the split{closest(self._split, lists)}"
            )
        for number, line in read_lines(listed, "list of images"):
            stem = line.split()[0]
            path = files.get(stem)
            if path is None:
                near = closest(stem, files) if len(files) <= 2000 else ""
                problem = Problem("without XML file", f"there is no {self._xml_folder / stem}.xml{near}")
                self._log.accept("image", f"{printable(listed)}:{number}", problem)
            else:
                yield path

    def _image(self, path: Path, element: Element) -> dict[str, Any] | Problem:
        """Return the entry of "images" of an XML file, or what is wrong with it."""
        written = (element.findtext("filename") or "").strip()
        file_name = re.split(r"[\\/]", written)[-1]
        image = self._index.find_stem(path.stem)
        told = self._index.find(file_name) if file_name else None
        if image is None:
            image = told
            for text in (written, (element.findtext("path") or "").strip()):
                if image is None and text:
                    image = locate(path.parent, text)
        elif told is not None and told != image:
            self._stale_names.append(f"{path.name}: {printable(file_name)}")
        size = element.find("size")
        width, height = number_in(size, "width"), number_in(size, "height")
        if not (width and height):
            if image is None:
                return Problem(
                    "the file is missing", f"there is no image {_names(path, file_name)}, to tell its size"
                )
            try:
                height, width = read_image_size(image)
            except ImageError as error:
                return Problem("unreadable", str(error))
        name = file_name or f"{path.stem}.jpg"
        relative = os.path.relpath(image, self.root) if image is not None else self._expected(name)
        return {"id": path.stem, "file_name": relative, "width": width, "height": height}

    def _expected(self, name: str) -> str:
        """Return the path, from the root, of an image that is not there."""
        folders = [self.root / "JPEGImages", self.root / "images"]
        folder = next((folder for folder in folders if folder.is_dir()), self._xml_folder)
        return os.path.relpath(folder / name, self.root)

    def _object(self, found: Element) -> dict[str, Any] | Problem:
        """Return an <object> as an entry of "annotations", or what is wrong with it."""
        name = (found.findtext("name") or "").strip()
        problem = self._classes.problem(name)
        if problem is not None:
            return problem
        box = found.find("bndbox")
        if box is None:
            return Problem("without box", "it has no <bndbox>")
        corners = [number_in(box, key) for key in ("xmin", "ymin", "xmax", "ymax")]
        for key, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
            if value is None:
                return Problem("malformed box", f"{key} must be a number, got {box.findtext(key)!r}")
        x0, y0, x1, y1 = (value for value in corners if value is not None)
        if x1 < x0 or y1 < y0:
            text = (
                f"xmin {x0:g}, ymin {y0:g}, xmax {x1:g}, ymax {y1:g}: the first corner is beyond the second"
            )
            return Problem("corners exchanged", text)
        if min(x0, y0) < self._first_pixel:
            self._before_first += 1
        x0, y0 = x0 - self._first_pixel, y0 - self._first_pixel
        entry: dict[str, Any] = {"category_id": name, "bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": 0}
        for key in _FLAGS:
            flag = found.findtext(key)
            if flag is None or not flag.strip():
                continue
            if flag.strip() not in ("0", "1"):
                return Problem(f"wrong {key}", f"{key} must be 0 or 1, got {flag!r}")
            entry[key] = int(flag)
        return entry


def xml_folder(root: Path) -> Path:
    """Return the folder of the XML files.

    Raises:
        FileNotFoundError: there is none.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {str(root)!r} of Pascal VOC's files (root)")
    folders = (root / "Annotations", root / "annotations", root / "labels", root)
    for folder in folders:
        if folder.is_dir() and any(name.lower().endswith(".xml") for name in os.listdir(folder)):
            return folder
    raise FileNotFoundError(f"no XML files in {', '.join(map(str, folders))}")


def _names(path: Path, file_name: str) -> str:
    names = [f"{path.stem}.*", *([repr(printable(file_name))] if file_name else [])]
    return " or ".join(names)
