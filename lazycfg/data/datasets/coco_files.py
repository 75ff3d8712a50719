"""Finding the images of a COCO annotation file, and reading the file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lazycfg.utils import printable

from .coco_validation import AnnotationError, MissingImagesError
from .image_files import locate, missing_files

SPLITS = ("train", "val", "test", "minival", "valminusminival", "unlabeled")


def read_coco_json(json_file: str | Path, *, need_annotations: bool = True) -> dict[str, Any]:
    """Return the contents of an annotation file.

    Args:
        need_annotations: False: a file without a list "annotations" (of test images) has an empty one.

    Raises:
        FileNotFoundError: no such file.
        IsADirectoryError: a folder.
        AnnotationError: not JSON, or not laid out as COCO's annotation files are.
    """
    path = Path(json_file)
    if path.is_dir():
        there = ", ".join(sorted(str(p) for p in path.glob("*.json"))[:8])
        raise IsADirectoryError(
            f"{str(path)!r} is a folder: give an annotation file (in it: {there or 'none'})"
        )
    if not path.is_file():
        near = sorted(p.name for p in path.parent.glob("*.json")) if path.parent.is_dir() else []
        where = f"; {path.parent} holds {', '.join(near[:8])}" if near else f"; looked from {os.getcwd()}"
        raise FileNotFoundError(f"no annotation file {str(path)!r}{where}")
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{path} is not JSON: {printable(error)}") from error
    if not need_annotations and isinstance(data, dict):
        data.setdefault("annotations", [])
    for key in ("images", "annotations", "categories"):
        if not isinstance(data, dict):
            raise AnnotationError(
                f"{path} is not a COCO instances file: it needs a dict with lists 'images', 'annotations' "
                f"and 'categories', and is a {type(data).__name__}"
            )
        if key not in data:
            have = ", ".join(repr(printable(k)) for k in sorted(data)[:10])
            raise AnnotationError(
                f"{path} is not a COCO instances file: it needs a list {key!r} and has only "
                f"{have or 'nothing'}"
            )
        if not isinstance(data[key], list):
            raise AnnotationError(
                f"{path} is not a COCO instances file: it needs a list {key!r}, which is a "
                f"{type(data[key]).__name__} there"
            )
    return data


def candidate_roots(json_file: str | Path) -> list[Path]:
    """Return the folders in which images are looked for when none is given, in this order.

    For `a/b/instances_train2017.json`: `a/b` and `a`; in each of them `images`, the folder named as the file
    (`instances_train2017`), what follows its first underscore (`train2017`), the split in its name (`train`),
    and the last three within `images` too.
    """
    path = Path(json_file).resolve()
    names = [path.stem]
    if "_" in path.stem:
        names.append(path.stem.split("_", 1)[1])
    words = re.split(r"[^a-z0-9]+", path.stem.lower())
    splits = [s for s in SPLITS if any(w == s or re.fullmatch(rf"{s}\d+", w) for w in words)]
    names += [w for w in words if any(re.fullmatch(rf"{s}\d+", w) for s in splits)] + splits
    roots: list[Path] = []
    for base in (path.parent, path.parent.parent):
        for root in (
            base,
            base / "images",
            *(base / n for n in names),
            *(base / "images" / n for n in names),
        ):
            if root not in roots:
                roots.append(root)
    return roots


def find_image_root(json_file: str | Path, file_names: Sequence[str]) -> Path:
    """Return that of `candidate_roots` which holds most of the images (the first of them if several do).

    Looks for 100 names spread over the file, and for all of them if none of these is anywhere.

    Raises:
        FileNotFoundError: none holds any; the message lists the places.
    """
    roots = candidate_roots(json_file)
    if not file_names:
        return roots[0]
    there = [root for root in roots if root.is_dir()]
    some = list(file_names[:: max(1, len(file_names) // 100)])
    for names in (some, file_names):
        found = [len(names) - len(missing_files(root, names)) for root in there]
        if any(found):
            return there[found.index(max(found))]
    for root in there:  # names of another machine
        if any(locate(root, name) is not None for name in some):
            return root
    places = "\n".join(f"  {r}{'' if r.is_dir() else '  (no such folder)'}" for r in roots)
    raise MissingImagesError(
        f"the images of {json_file} were not found: none of {list(file_names[:3])} is in\n{places}",
        {"image_root": "FOLDER"},
        "\npass image_root=, the folder that the file names in the annotation file start from",
    )
