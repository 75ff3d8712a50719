"""Small datasets with one thing wrong, made on the fly: as COCO files, and as records of an own dataset."""

import copy
import json

import numpy as np
from PIL import Image

from lazycfg.data import Metadata
from lazycfg.structures import BoxMode

WIDTH, HEIGHT = 60, 40
NAMES = ("a", "b")
KEYPOINTS = ("nose", "left_ear", "right_ear")
BOXES = ([5, 6, 20, 15], [30, 10, 25, 20])

NAN, INF = float("nan"), float("inf")
VALUES = {
    "null": None,
    "text": "word",
    "empty text": "",
    "number as text": "1",
    "escape": "\x1b[31mred\n",
    "minus one": -1,
    "large": 99,
    "huge": 10**400,
    "half": 1.5,
    "nan": NAN,
    "inf": INF,
    "true": True,
    "list": [],
    "short list": [1],
    "texts": ["x", "y", "z", "w"],
    "nulls": [None] * 6,
    "nested": [[[1, 2], [3, 4], [5, 6]]],
    "nans": [NAN] * 4,
    "dict": {},
    "odd dict": {"size": "x", "counts": 3},
}


def box_polygon(x, y, w, h):
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def coco():
    """Three images with two objects each."""
    images = [{"id": i + 1, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in range(3)]
    annotations = []
    for image in images:
        for category, box in enumerate(BOXES, start=1):
            x, y = box[:2]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": category,
                    "bbox": list(box),
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                    "segmentation": [box_polygon(*box)],
                    "keypoints": [x + 3, y + 3, 2, x + 6, y + 3, 1, 0, 0, 0],
                    "num_keypoints": 2,
                }
            )
    categories = [
        {"id": i, "name": name, "keypoints": list(KEYPOINTS), "skeleton": [[1, 2], [1, 3]]}
        for i, name in enumerate(NAMES, start=1)
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


def write(folder, data, name="data.json"):
    """Write the images, once, and the annotation file; return its path."""
    for i in range(3):
        path = folder / f"{i}.png"
        if not path.exists():
            array = np.random.default_rng(i).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            Image.fromarray(array).save(path)
    path = folder / name
    path.write_text(json.dumps(data))
    return path


def edits():
    """(name, edit of the file's contents) for every field of every sort of entry and every value."""
    fields = {
        "annotations": ("image_id", "category_id", "bbox", "area", "iscrowd", "segmentation", "keypoints"),
        "images": ("id", "file_name", "width", "height"),
        "categories": ("id", "name", "keypoints", "skeleton"),
    }
    for part, keys in fields.items():
        for key in keys:
            yield f"{part} without {key}", lambda d, p=part, k=key: d[p][0].pop(k)
            for name, value in VALUES.items():
                yield (
                    f"{part} {key} {name}",
                    lambda d, p=part, k=key, v=value: d[p][0].__setitem__(k, copy.deepcopy(v)),
                )
        for name in ("null", "text", "large", "list", "dict"):
            yield (
                f"{part} entry {name}",
                lambda d, p=part, v=VALUES[name]: d[p].__setitem__(0, copy.deepcopy(v)),
            )
            yield f"{part} {name}", lambda d, p=part, v=VALUES[name]: d.__setitem__(p, copy.deepcopy(v))


class OwnDataset:
    """The three members of the protocol, nothing else."""

    def __init__(self, records, metadata=None):
        self.records = records
        self.metadata = metadata or Metadata(name="own", thing_classes=NAMES, keypoint_names=KEYPOINTS)

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        return copy.deepcopy(self.records[index])


def records():
    result = []
    for i in range(3):
        image = np.random.default_rng(i).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        annotations = [
            {
                "bbox": list(map(float, box)),
                "bbox_mode": BoxMode.XYWH_ABS,
                "category_id": category,
                "iscrowd": 0,
                "segmentation": [list(map(float, box_polygon(*box)))],
                "keypoints": [box[0] + 3.0, box[1] + 3.0, 2, box[0] + 6.0, box[1] + 3.0, 1, 0, 0, 0],
            }
            for category, box in enumerate(BOXES)
        ]
        result.append(
            {"image": image, "height": HEIGHT, "width": WIDTH, "image_id": i + 1, "annotations": annotations}
        )
    return result


def record_edits():
    """(name, edit of the records) for every field and every value."""
    for key in ("bbox", "bbox_mode", "category_id", "iscrowd", "segmentation", "keypoints"):
        yield f"annotation without {key}", lambda r, k=key: r[0]["annotations"][0].pop(k)
        for name, value in VALUES.items():
            yield (
                f"annotation {key} {name}",
                lambda r, k=key, v=value: r[0]["annotations"][0].__setitem__(k, copy.deepcopy(v)),
            )
    for key in ("image_id", "height", "width", "annotations", "image"):
        for name, value in VALUES.items():
            yield f"record {key} {name}", lambda r, k=key, v=value: r[0].__setitem__(k, copy.deepcopy(v))
    for name in ("null", "text", "large", "list", "dict"):
        yield f"record {name}", lambda r, v=VALUES[name]: r.__setitem__(0, copy.deepcopy(v))
