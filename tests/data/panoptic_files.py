"""Small panoptic and semantic data sets in files, as COCO lays them out."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from lazycfg.utils.segment_ids import id2rgb

CATEGORIES = [
    {"id": 7, "name": "cat", "isthing": 1, "color": [10, 20, 30]},
    {"id": 3, "name": "ball", "isthing": 1, "color": [40, 50, 60]},
    {"id": 100, "name": "sky", "isthing": 0, "color": [70, 80, 90]},
    {"id": 5, "name": "grass", "isthing": 0, "color": [1, 2, 3]},
]
SKY, GRASS, BALL, CAT, CROWD = 9_000_001, 2, 65_536, 300, 4
SEGMENTS = [
    {"id": SKY, "category_id": 100, "iscrowd": 0, "bbox": [0, 0, 30, 10], "area": 234},
    {"id": GRASS, "category_id": 5, "iscrowd": 0, "bbox": [0, 10, 30, 10], "area": 210},
    {"id": BALL, "category_id": 3, "iscrowd": 0, "bbox": [5, 5, 6, 6], "area": 36},
    {"id": CAT, "category_id": 7, "iscrowd": 0, "bbox": [15, 8, 8, 8], "area": 64},
    {"id": CROWD, "category_id": 7, "iscrowd": 1, "bbox": [25, 15, 4, 4], "area": 16},
]


def segment_ids() -> np.ndarray:
    """(20, 30): sky above grass, a ball, a cat, a crowd, and two columns that are nothing."""
    ids = np.full((20, 30), GRASS)
    ids[:10] = SKY
    ids[5:11, 5:11] = BALL
    ids[8:16, 15:23] = CAT
    ids[15:19, 25:29] = CROWD
    ids[:, :2] = 0
    return ids


def write_panoptic(folder: Path, split: str = "train", count: int = 2) -> SimpleNamespace:
    """Files of `count` equal pictures; the paths, and the contents of the two annotation files."""
    paths = SimpleNamespace(
        image_root=folder / f"{split}2017",
        panoptic_root=folder / f"panoptic_{split}2017",
        panoptic_json=folder / "annotations" / f"panoptic_{split}2017.json",
        instances_json=folder / "annotations" / f"instances_{split}2017.json",
    )
    for root in (paths.image_root, paths.panoptic_root, paths.panoptic_json.parent):
        root.mkdir(parents=True, exist_ok=True)
    images = [{"id": i, "file_name": f"{i:03}.jpg", "width": 30, "height": 20} for i in range(1, count + 1)]
    for image in images:
        Image.fromarray(np.full((20, 30, 3), 99, np.uint8)).save(paths.image_root / image["file_name"])
        Image.fromarray(id2rgb(segment_ids())).save(paths.panoptic_root / f"{image['id']:03}.png")
    panoptic = {
        "images": images,
        "annotations": [
            {"image_id": i["id"], "file_name": f"{i['id']:03}.png", "segments_info": SEGMENTS} for i in images
        ],
        "categories": CATEGORIES,
    }
    paths.panoptic = copy.deepcopy(panoptic)
    things = {c["id"]: c for c in CATEGORIES if c["isthing"]}
    paths.instances = {
        "images": images,
        "annotations": [
            {
                "id": 10 * image["id"] + number,
                "image_id": image["id"],
                **{key: s[key] for key in ("category_id", "iscrowd", "bbox", "area")},
                "segmentation": [polygon(*s["bbox"])],
            }
            for image in images
            for number, s in enumerate(s for s in SEGMENTS if s["category_id"] in things)
        ],
        "categories": [{"id": c["id"], "name": c["name"]} for c in things.values()],
    }
    paths.panoptic_json.write_text(json.dumps(paths.panoptic))
    paths.instances_json.write_text(json.dumps(paths.instances))
    return paths


def polygon(x: float, y: float, w: float, h: float) -> list[float]:
    return [x, y, x + w, y, x + w, y + h, x, y + h]
