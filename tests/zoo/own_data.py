"""Data of every kind that the quickstart configs take, made of generated images."""

import json

import numpy as np
from PIL import Image

from lazycfg.data import ShapesDataset, export_coco

GROUND = {"id": 9, "name": "ground", "isthing": 0}


def write_data(folder):
    """Write four images in each form; return the overrides of `data` for each task."""
    options = {"num_images": 4, "image_size": 96, "classes": ("circle", "bar"), "num_objects": (1, 3)}
    files = {}
    for task, more in {
        "boxes": {},
        "keypoints": {"keypoints": True},
        "rotated_boxes": {"rotated": True},
    }.items():
        files[task], images = export_coco(ShapesDataset(**options, **more), folder / task)
    overrides = {
        task: [f"data.{split}_json={file}" for split in ("train", "test")] for task, file in files.items()
    }
    overrides["masks"] = overrides["boxes"]
    images = folder / "boxes" / "images"
    semantic = ShapesDataset(**options, label_maps="semantic")
    write_maps(folder / "labels", images, [semantic[i]["sem_seg"] for i in range(len(semantic))])
    overrides["semantic"] = [
        f"data.{split}_{kind}={path}"
        for split in ("train", "test")
        for kind, path in (("images", images), ("labels", folder / "labels"))
    ] + ["data.image_ext=png", 'data.classes=["ground", "circle", "bar"]']
    write_panoptic(folder, images, files["boxes"], ShapesDataset(**options, label_maps="panoptic"))
    overrides["panoptic"] = [
        f"data.{split}_{kind}={path}"
        for split in ("train", "test")
        for kind, path in (
            ("json", files["boxes"]),
            ("images", images),
            ("panoptic_json", folder / "panoptic.json"),
            ("panoptic_root", folder / "panoptic"),
        )
    ]
    return overrides


def names_of(images):
    return sorted(path.name for path in images.iterdir())


def write_maps(folder, images, maps):
    folder.mkdir()
    for name, labels in zip(names_of(images), maps, strict=True):
        Image.fromarray(np.asarray(labels)).save(folder / name)


def write_panoptic(folder, images, instances_file, dataset):
    instances = json.loads(instances_file.read_text())
    categories = [{**entry, "isthing": 1} for entry in instances["categories"]]
    (folder / "panoptic").mkdir()
    annotations = []
    for i, image in enumerate(instances["images"]):
        record = dataset[i]
        ids = np.asarray(record["pan_seg"]).astype(np.uint32)
        name = image["file_name"].rpartition("/")[2]
        pixels = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "panoptic" / name)
        segments = [
            {
                "id": int(segment["id"]),
                "category_id": categories[segment["category_id"]]["id"]
                if segment["isthing"]
                else GROUND["id"],
                "iscrowd": 0,
                "bbox": [0, 0, 96, 96],
                "area": int((ids == segment["id"]).sum()),
            }
            for segment in record["segments_info"]
        ]
        annotations.append({"image_id": image["id"], "file_name": name, "segments_info": segments})
    content = {"images": instances["images"], "annotations": annotations, "categories": [*categories, GROUND]}
    (folder / "panoptic.json").write_text(json.dumps(content))
