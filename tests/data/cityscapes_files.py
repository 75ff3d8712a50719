"""Small images of Cityscapes with their ground truth, laid out as its archives are."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from lazycfg.utils.cityscapes import LABELS
from lazycfg.utils.segment_ids import id2rgb

NAMES = ("aachen_000000_000019", "aachen_000001_000019", "ulm_000000_000019")
SIZE = (48, 64)


def write_cityscapes(folder: Path, names=NAMES, size=SIZE, seed=0) -> SimpleNamespace:
    """Files of a split "train"; `instances` holds the maps of instances by name."""
    paths = SimpleNamespace(
        image_dir=folder / "leftImg8bit" / "train",
        gt_dir=folder / "gtFine" / "train",
        panoptic_json=folder / "gtFine" / "cityscapes_panoptic_train.json",
        panoptic_root=folder / "gtFine" / "cityscapes_panoptic_train",
        instances={},
    )
    rng = np.random.default_rng(seed)
    paths.panoptic_root.mkdir(parents=True)
    images, annotations = [], []
    for name in names:
        ids = paths.instances[name] = draw_instances(rng, size)
        city = name.split("_")[0]
        for root in (paths.image_dir, paths.gt_dir):
            (root / city).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(paths.image_dir / city / f"{name}_leftImg8bit.png")
        labels = np.where(ids >= 1000, ids // 1000, ids)
        stem = paths.gt_dir / city / f"{name}_gtFine"
        Image.fromarray(ids.astype(np.uint16)).save(f"{stem}_instanceIds.png")
        Image.fromarray(labels.astype(np.uint8)).save(f"{stem}_labelIds.png")
        images.append(panoptic_image(name, size))
        annotations.append(panoptic_annotation(name, ids))
        Image.fromarray(id2rgb(ids)).save(paths.panoptic_root / annotations[-1]["file_name"])
    categories = [
        {"id": label.id, "name": label.name, "isthing": int(label.has_instances), "color": label.color}
        for label in LABELS
        if not label.ignored
    ]
    contents = {"images": images, "annotations": annotations, "categories": categories}
    paths.panoptic_json.write_text(json.dumps(contents))
    return paths


def draw_instances(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Stuff in tiles, and on it rectangles: instances, and groups of them that were not told apart."""
    height, width = size
    stuff = rng.choice([0, 1, 4, 7, 8, 9, 11, 21, 23], size=(4, 5))
    ids = stuff.repeat(-(-height // 4), 0).repeat(-(-width // 5), 1)[:height, :width].astype(np.int64)
    for number in range(12):
        label = int(rng.choice([24, 24, 25, 26, 26, 28, 29, 33]))
        h, w = rng.integers(3, height // 2), rng.integers(3, width // 2)
        y, x = rng.integers(0, height - h), rng.integers(0, width - w)
        ids[y : y + h, x : x + w] = label if rng.random() < 0.25 else label * 1000 + number
    return ids


def panoptic_image(name: str, size: tuple[int, int]) -> dict:
    """The file name is that of no file, as in the file that Cityscapes' script makes."""
    file_name = f"{name}_gtFine_leftImg8bit.png"
    return {"id": name, "file_name": file_name, "height": size[0], "width": size[1]}


def panoptic_annotation(name: str, ids: np.ndarray) -> dict:
    segments = []
    for number in np.unique(ids).tolist():
        label = LABELS[number // 1000 if number >= 1000 else number]
        if not label.ignored:
            crowd = int(label.has_instances and number < 1000)
            area = int((ids == number).sum())
            segments.append({"id": number, "category_id": label.id, "iscrowd": crowd, "area": area})
    return {"image_id": name, "file_name": f"{name}_gtFine_panoptic.png", "segments_info": segments}
