"""Seconds that LVIS's metrics of boxes take: as many classes and detections as LVIS v1 has, in random places.

python tools/benchmarks/lvis_scores.py --images 5000
"""

import argparse
import time

import numpy as np

from lazycfg.evaluation import lvis_scores

CLASSES, OBJECTS, DETECTIONS = 1203, 11, 300


def data(images: int) -> tuple[dict, list[dict]]:
    """A truth, and detections of which half lie near an object."""
    rng = np.random.default_rng(0)
    chance = 1 / np.arange(1, CLASSES + 1)
    chance /= chance.sum()

    def boxes(count):
        return np.concatenate(
            [rng.uniform(0, [560, 400], (count, 2)), rng.uniform(8, 80, (count, 2))], axis=1
        )

    truth: dict = {"images": [], "annotations": [], "categories": []}
    truth["categories"] = [{"id": number, "name": f"c{number}"} for number in range(1, CLASSES + 1)]
    detections = []
    for image_id in range(1, images + 1):
        places, labels = boxes(OBJECTS), 1 + rng.choice(CLASSES, OBJECTS, p=chance)
        truth["images"].append(
            {
                "id": image_id,
                "height": 480,
                "width": 640,
                "neg_category_ids": (1 + rng.choice(CLASSES, 8, replace=False)).tolist(),
                "not_exhaustive_category_ids": labels[:1].tolist() if rng.random() < 0.3 else [],
            }
        )
        for box, label in zip(places.tolist(), labels.tolist(), strict=True):
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": image_id,
                    "category_id": label,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
        near = rng.integers(0, OBJECTS, DETECTIONS // 2)
        moved = places[near] + rng.normal(0, 3, (len(near), 4))
        found = np.concatenate([moved, boxes(DETECTIONS - len(near))]).clip(1).tolist()
        classes = [
            *labels[near].tolist(),
            *(1 + rng.choice(CLASSES, DETECTIONS - len(near), p=chance)).tolist(),
        ]
        for box, label, score in zip(found, classes, rng.random(DETECTIONS).tolist(), strict=True):
            detections.append({"image_id": image_id, "category_id": label, "bbox": box, "score": score})
    return truth, detections


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    truth, detections = data(parser.parse_args().images)
    wall, cpu = time.perf_counter(), time.process_time()
    scores = lvis_scores(truth, detections, "bbox")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        f"{len(truth['images'])} images, {len(detections)} detections: {wall:.1f} s "
        f"({cpu:.1f} s of the CPU), AP {scores.metrics()['AP']:.3f}"
    )


if __name__ == "__main__":
    main()
