"""LVIS's average precision by plain loops, as published (Gupta et al., 2019, and the rules of the benchmark);
and random data to compare with.

A detection is a dict as in a results file, an object one as in an annotation file; masks are bool arrays,
"mask".
"""

import math

import numpy as np

from lazycfg.structures.rle import encode_mask

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREAS = {"": (0, 1e10), "s": (0, 32**2), "m": (32**2, 96**2), "l": (96**2, 1e10)}


def overlap(detection, thing, kind):
    if kind == "segm":
        both = (detection["mask"] & thing["mask"]).sum()
        either = (detection["mask"] | thing["mask"]).sum()
        return both / either if either else 0.0
    (x, y, w, h), (a, b, c, d) = detection["bbox"], thing["bbox"]
    width = min(x + w, a + c) - max(x, a)
    height = min(y + h, b + d) - max(y, b)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (w * h + c * d - width * height)


def area_of(detection, kind):
    return detection["mask"].sum() if kind == "segm" else detection["bbox"][2] * detection["bbox"][3]


def match_image(found, things, kind, low, high, threshold, exhaustive):
    """Return, of each detection, the best first: its score, whether it found an object, whether it does not
    count; and the number of objects that count."""
    ignored = [not low <= thing["area"] <= high for thing in things]
    order = sorted(range(len(things)), key=lambda index: ignored[index])
    taken = set()
    result = []
    for detection in found:
        best, at_least = None, min(threshold, 1 - 1e-10)
        for index in order:
            if index in taken:
                continue
            if best is not None and not ignored[best] and ignored[index]:
                break
            value = overlap(detection, things[index], kind)
            if value < at_least:
                continue
            best, at_least = index, value
        if best is not None:
            taken.add(best)
            result.append((detection["score"], True, ignored[best]))
        else:
            outside = not low <= area_of(detection, kind) <= high
            result.append((detection["score"], False, outside or not exhaustive))
    return result, ignored.count(False)


def precision_at_recalls(matches, objects):
    matches = sorted(matches, key=lambda match: -match[0])  # stable
    right = wrong = 0
    recalls, precisions = [], []
    for _, found, ignored in matches:
        if not ignored:
            right, wrong = right + found, wrong + (not found)
        recalls.append(right / objects)
        precisions.append(right / (right + wrong + np.spacing(1)))
    for index in range(len(precisions) - 1, 0, -1):
        precisions[index - 1] = max(precisions[index - 1], precisions[index])
    result = []
    for wanted in RECALLS:
        at = next((index for index, recall in enumerate(recalls) if recall >= wanted), None)
        result.append(0.0 if at is None else precisions[at])
    return result


def plain_metrics(truth, detections, kind, max_dets):
    """Percentages by the names of `LVISEvaluator`; NaN where there is no object."""
    images = sorted(truth["images"], key=lambda image: image["id"])
    best = {}
    for image in images:
        own = [d for d in detections if d["image_id"] == image["id"]]
        best[image["id"]] = sorted(own, key=lambda d: -d["score"])[:max_dets]
    curves = {}
    for number in (category["id"] for category in truth["categories"]):
        for name, (low, high) in AREAS.items():
            for threshold in THRESHOLDS:
                matches, objects = [], 0
                for image in images:
                    things = [
                        a
                        for a in truth["annotations"]
                        if a["image_id"] == image["id"] and a["category_id"] == number
                    ]
                    found = [d for d in best[image["id"]] if d["category_id"] == number]
                    if not things and number not in image["neg_category_ids"]:
                        found = []
                    exhaustive = number not in image["not_exhaustive_category_ids"]
                    part, count = match_image(found, things, kind, low, high, threshold, exhaustive)
                    matches += part
                    objects += count
                if objects:
                    curve = precision_at_recalls(matches, objects)
                    curves.setdefault(name, {}).setdefault(number, []).append((threshold, curve))

    def mean(area, keep=lambda number: True, threshold=None):
        values = [
            value
            for number, of_class in curves.get(area, {}).items()
            if keep(number)
            for at, curve in of_class
            if threshold is None or at == threshold
            for value in curve
        ]
        return 100 * float(np.mean(values)) if values else math.nan

    frequency = {category["id"]: category["frequency"] for category in truth["categories"]}
    return {
        "AP": mean(""),
        "AP50": mean("", threshold=THRESHOLDS[0]),
        "AP75": mean("", threshold=THRESHOLDS[5]),
        **{f"AP{name}": mean(name) for name in "sml"},
        **{f"AP{letter}": mean("", lambda n, f=letter: frequency[n] == f) for letter in "rcf"},
    }


def random_case(rng):
    """A truth and detections: classes that were not looked for, ties of scores, empty masks, boxes that leave
    the image, objects of all sizes, areas that are not those of the masks."""
    classes = int(rng.integers(1, 7))
    numbers = (np.cumsum(rng.integers(1, 4, classes))).tolist()
    truth = {
        "images": [],
        "annotations": [],
        "categories": [
            {"id": number, "name": f"c{number}", "frequency": "rcf"[rng.integers(3)]} for number in numbers
        ],
    }
    detections = []
    for image_id in rng.permutation(40)[: rng.integers(1, 7)].tolist():
        height, width = rng.integers(20, 160, 2).tolist()
        present = [number for number in numbers if rng.random() < 0.5]
        absent = [n for n in numbers if n not in present and rng.random() < 0.5]
        partly = [n for n in numbers if rng.random() < 0.3]
        truth["images"].append(
            {
                "id": image_id,
                "height": height,
                "width": width,
                "neg_category_ids": absent,
                "not_exhaustive_category_ids": partly,
            }
        )

        def region(height=height, width=width, near=None):
            if near is None or rng.random() < 0.3:
                box = np.array([rng.uniform(0, width - 3), rng.uniform(0, height - 3), 3, 3])
                box[2:] = rng.uniform(2, [width, height]) * rng.uniform(0.2, 1)
            else:
                box = np.array(near) + rng.normal(0, 1, 4) * rng.choice([0, 0.5, 4])
                box[2:] = box[2:].clip(1)
            x0, y0 = np.round(box[:2]).astype(int).clip(0)
            x1, y1 = np.round(box[:2] + box[2:]).astype(int)
            mask = np.zeros((height, width), dtype=bool)
            mask[y0:y1, x0:x1] = True
            return {
                "bbox": box.round(1).tolist(),
                "mask": mask,
                "segmentation": encode_mask(mask),
            }

        own = []
        for number in present:
            for _ in range(rng.integers(1, 4)):
                thing = region()
                area = thing["mask"].sum() * rng.choice([1, 1, 0.6])
                own.append({"image_id": image_id, "category_id": number, "area": float(area), **thing})
        truth["annotations"] += own
        for _ in range(rng.integers(0, 16)):
            near = own[rng.integers(len(own))] if own else None
            box = region(near=near and near["bbox"])
            if rng.random() < 0.05:
                box["mask"] = np.zeros((height, width), dtype=bool)
                box["segmentation"] = encode_mask(box["mask"])
                box["bbox"][2] = 0.0
            number = near["category_id"] if near and rng.random() < 0.7 else numbers[rng.integers(classes)]
            detections.append(
                {
                    "image_id": image_id,
                    "category_id": number,
                    "score": float(rng.integers(1, 12)) / 12,
                    **box,
                }
            )
    for index, annotation in enumerate(truth["annotations"], 1):
        annotation.update(id=index, iscrowd=0)
    order = rng.permutation(len(detections))
    return truth, [detections[index] for index in order]
