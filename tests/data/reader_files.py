"""Small data sets in the formats of other tools, as these write them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image


def image(path: Path, width: int = 40, height: int = 20, orientation: int | None = None) -> Path:
    """Write an image; with an EXIF orientation it is stored turned, and upright of the size that is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if orientation is None:
        Image.new("RGB", (width, height), (90, 120, 60)).save(path)
        return path
    exif = Image.Exif()
    exif[0x0112] = orientation
    size = (height, width) if orientation >= 5 else (width, height)
    Image.new("RGB", size, (90, 120, 60)).save(path, exif=exif)
    return path


def text(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


YAML = "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n"


def yolo(folder: Path, labels: dict[str, str | bytes], yaml: str = YAML, split: str = "train") -> Path:
    """Write an image for each file of labels, and data.yaml."""
    for stem, content in labels.items():
        image(folder / "images" / split / f"{stem}.jpg")
        text(folder / "labels" / split / f"{stem}.txt", content)
    (folder / "images" / "val").mkdir(parents=True, exist_ok=True)
    return text(folder / "data.yaml", yaml)


def voc_object(name: str = "cat", box=(3, 5, 23, 15), **flags) -> str:
    corners = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    more = "".join(f"<{k}>{v}</{k}>" for k, v in flags.items())
    return f"<object><name>{name}</name>{more}<bndbox>{corners}</bndbox></object>"


def voc_xml(*objects: str, filename: str = "", size: tuple[int, int] | None = (40, 20)) -> str:
    tag = "" if size is None else f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    return f"<annotation><filename>{filename}</filename>{tag}{''.join(objects)}</annotation>"


def voc(folder: Path, files: dict[str, str | bytes], lists: dict[str, str] | None = None) -> Path:
    for stem, content in files.items():
        image(folder / "JPEGImages" / f"{stem}.jpg")
        text(folder / "Annotations" / f"{stem}.xml", content)
    for name, lines in (lists or {}).items():
        text(folder / "ImageSets" / "Main" / f"{name}.txt", lines)
    return folder


def labelme(path: Path, shapes: list[dict], **content) -> Path:
    described = {"version": "5.4", "imagePath": f"{path.stem}.jpg", "imageWidth": 40, "imageHeight": 20}
    return text(path, json.dumps({**described, "imageData": None, "shapes": shapes, **content}))


def shape(label: str, points, kind: str = "polygon", **more) -> dict:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}


def mask(path: Path, values) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, dtype=np.uint8)).save(path)
    return path
