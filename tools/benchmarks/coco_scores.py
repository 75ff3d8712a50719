"""Seconds that COCO's metrics of boxes and masks take, and those of every engine by itself, in one run.

python tools/benchmarks/coco_scores.py --images 36000 --detections 733000
python tools/benchmarks/coco_scores.py --images 5000 --detections 82000 --engines hotcoco faster-coco-eval
"""

import argparse
import time
from typing import Any

import numpy as np

from lazycfg.evaluation import coco_scores
from lazycfg.structures.rle import encode_crop

CLASSES, HEIGHT, WIDTH = 80, 480, 640


def data(images: int, detections: int, objects: int) -> tuple[dict, list[dict]]:
    """Return a truth, and detections by image, of which half lie near an object."""
    rng = np.random.default_rng(0)

    def labels(count):
        return np.minimum(rng.geometric(0.08, count), CLASSES)

    image, label = np.sort(rng.integers(0, images, objects)), labels(objects)
    size = np.exp(rng.normal(3.8, 1, (objects, 2))).clip(4, 400)
    box = np.concatenate([rng.uniform(0, [WIDTH, HEIGHT] - size), size], axis=1)
    near = rng.integers(0, objects, detections)
    is_near = rng.random(detections) < 0.5
    moved = box[near] + rng.normal(0, 0.08, (detections, 4)) * size[near][:, [0, 1, 0, 1]]
    moved[:, 2:] = moved[:, 2:].clip(2)
    found_image = np.where(is_near, image[near], rng.integers(0, images, detections))
    found_label = np.where(is_near, label[near], labels(detections))
    truth: dict[str, Any] = {
        "images": [{"id": i, "height": HEIGHT, "width": WIDTH} for i in range(images)],
        "categories": [{"id": i, "name": f"c{i}"} for i in range(1, CLASSES + 1)],
        "annotations": [
            {"id": n, "image_id": i, "category_id": c, "bbox": b, "area": b[2] * b[3], "iscrowd": crowd}
            for n, (i, c, b, crowd) in enumerate(
                zip(
                    image.tolist(),
                    label.tolist(),
                    box.tolist(),
                    (rng.random(objects) < 0.01).astype(int).tolist(),
                    strict=True,
                ),
                1,
            )
        ],
    }
    score = rng.random(detections)
    order = np.lexsort((-score, found_image))  # as an evaluator gives them
    columns = [column[order].tolist() for column in (found_image, found_label, moved, score)]
    return truth, [
        {"image_id": i, "category_id": c, "bbox": b, "score": s} for i, c, b, s in zip(*columns, strict=True)
    ]


def add_masks(entries: list[dict]) -> None:
    """Give each entry an ellipse in about its box; one of some ten thousand, since drawing takes time."""
    drawn: dict[tuple[int, ...], dict] = {}
    for entry in entries:
        x, y, w, h = (int(16 * round(value / 16)) for value in entry["bbox"])
        x, y = min(max(x, 0), WIDTH - 16), min(max(y, 0), HEIGHT - 16)
        place = y, x, min(max(h, 16), HEIGHT - y), min(max(w, 16), WIDTH - x)
        if place not in drawn:
            rows, columns = np.ogrid[-1 : 1 : place[2] * 1j, -1 : 1 : place[3] * 1j]
            drawn[place] = encode_crop(rows**2 + columns**2 <= 1, y, x, (HEIGHT, WIDTH))
        entry["segmentation"] = dict(drawn[place])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=82_000)
    parser.add_argument("--objects", type=int, help="default: seven per image")
    parser.add_argument("--engines", nargs="+", default=["hotcoco", "faster-coco-eval"])
    parser.add_argument("--kinds", nargs="+", default=["bbox", "segm"])
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    truth, detections = data(args.images, args.detections, args.objects or 7 * args.images)
    if "segm" in args.kinds:
        add_masks(truth["annotations"])
        add_masks(detections)
    print(f"{args.images} images, {len(truth['annotations'])} objects, {len(detections)} detections")
    for kind in args.kinds:
        best = dict.fromkeys(args.engines, (float("inf"), float("inf")))
        ap = {}
        for _ in range(args.repeats):
            for engine in args.engines:
                wall, cpu = time.perf_counter(), time.process_time()
                ap[engine] = coco_scores(truth, detections, kind, engine=engine).metrics()["AP"]
                taken = time.perf_counter() - wall, time.process_time() - cpu
                best[engine] = min(best[engine], taken)
        slowest = max(wall for wall, _ in best.values())
        for engine, (wall, cpu) in best.items():
            print(
                f"{kind:5} {engine:17} {wall:6.2f} s ({cpu:6.2f} s of the CPU), "
                f"{slowest / wall:5.1f} times as fast as the slowest, AP {ap[engine]:.10f}"
            )


if __name__ == "__main__":
    main()
