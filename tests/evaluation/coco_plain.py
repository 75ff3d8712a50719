"""COCO's precision and recall by plain loops, as published; and random data to compare with, many of whose
scores, overlaps and areas lie on a limit.

A detection is a dict as in a results file, an object one as in an annotation file.
"""

import numpy as np

from lazycfg.structures.rle import decode_rle, encode_mask

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREAS = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
SIZE = (48, 64)


def overlap(detection, thing, kind, sigmas):
    if kind == "keypoints":
        return similarity(detection, thing, sigmas)
    if kind == "segm":
        found, true = decode_rle(detection["segmentation"]), decode_rle(thing["segmentation"])
        both, area, other = int((found & true).sum()), int(found.sum()), int(true.sum())
        if both == 0:
            return 0.0
    else:
        (x, y, w, h), (a, b, c, d) = detection["bbox"], thing["bbox"]
        width, height = min(x + w, a + c) - max(x, a), min(y + h, b + d) - max(y, b)
        if width <= 0 or height <= 0:
            return 0.0
        both, area, other = width * height, w * h, c * d
    return both / (area if thing["iscrowd"] else area + other - both)


def similarity(detection, thing, sigmas):
    found = np.array(detection["keypoints"], dtype=float).reshape(-1, 3)
    true = np.array(thing["keypoints"], dtype=float).reshape(-1, 3)
    seen = true[:, 2] > 0
    x, y, w, h = thing["bbox"]
    if seen.any():
        dx, dy = found[:, 0] - true[:, 0], found[:, 1] - true[:, 1]
    else:  # how far it is from a box of three times the size
        dx = np.maximum(0, x - w - found[:, 0]) + np.maximum(0, found[:, 0] - (x + 2 * w))
        dy = np.maximum(0, y - h - found[:, 1]) + np.maximum(0, found[:, 1] - (y + 2 * h))
    e = (dx**2 + dy**2) / (2 * np.array(sigmas)) ** 2 / (thing["area"] + np.spacing(1)) / 2
    e = e[seen] if seen.any() else e
    return float(np.sum(np.exp(-e)) / len(e))


def area_of(detection, kind):
    if kind == "segm":
        return int(decode_rle(detection["segmentation"]).sum())
    return detection["bbox"][2] * detection["bbox"][3]


def match_image(found, things, overlaps, kind, low, high, threshold):
    """Return, of each detection: its score, whether it found an object, whether it does not count; and the
    number of objects that count.
    """
    ignored = [
        bool(t["iscrowd"])
        or not low <= t["area"] <= high
        or (kind == "keypoints" and not any(t["keypoints"][2::3]))
        for t in things
    ]
    order = sorted(range(len(things)), key=lambda index: ignored[index])
    taken, result = set(), []
    for row, detection in enumerate(found):
        best, at_least = None, min(threshold, 1 - 1e-10)
        for index in order:
            if index in taken and not things[index]["iscrowd"]:
                continue
            if best is not None and not ignored[best] and ignored[index]:
                break
            if overlaps[row][index] < at_least:
                continue
            best, at_least = index, overlaps[row][index]
        if best is not None:
            taken.add(best)
            result.append((detection["score"], True, ignored[best]))
        else:
            result.append((detection["score"], False, not low <= area_of(detection, kind) <= high))
    return result, ignored.count(False)


def curve(results, positives):
    """Return the precision and score at each recall, and the highest recall."""
    precision, scores = np.zeros(101), np.zeros(101)
    results = sorted(results, key=lambda r: -r[0])  # stable
    kept = [(score, hit) for score, hit, ignored in results if not ignored]
    # What does not count repeats the numbers before it
    hits = misses = 0
    points = []
    for score, hit, ignored in results:
        hits, misses = hits + (hit and not ignored), misses + (not hit and not ignored)
        points.append((hits / positives, hits / (misses + hits + np.spacing(1)), score))
    best = 0.0
    envelope = []
    for _, value, _ in reversed(points):
        best = max(best, value)
        envelope.insert(0, best)
    for number, wanted in enumerate(RECALLS):
        for (recall, _, score), value in zip(points, envelope, strict=True):
            if recall >= wanted:
                precision[number], scores[number] = value, score
                break
    return precision, scores, sum(hit for _, hit in kept) / positives


def plain_scores(truth, detections, kind, limits, sigmas=()):
    """Return precision, score (10, 101, classes, areas, limits) and recall (10, classes, areas, limits)."""
    areas = {name: bounds for name, bounds in AREAS.items() if kind != "keypoints" or name != "small"}
    shape = 10, 101, len(truth["categories"]), len(areas), len(limits)
    precision, score = np.full(shape, np.nan), np.full(shape, np.nan)
    recall = np.full((shape[0], *shape[2:]), np.nan)
    for k, category in enumerate(truth["categories"]):
        images = []
        for image in sorted(image["id"] for image in truth["images"]):
            own = [
                [e for e in entries if e["image_id"] == image and e["category_id"] == category["id"]]
                for entries in (truth["annotations"], detections)
            ]
            things, found = own[0], sorted(own[1], key=lambda d: -d["score"])[: max(limits)]
            images.append((found, things, [[overlap(d, t, kind, sigmas) for t in things] for d in found]))
        for a, (low, high) in enumerate(areas.values()):
            for m, limit in enumerate(sorted(limits)):
                for t, threshold in enumerate(THRESHOLDS):
                    results, positives = [], 0
                    for found, things, overlaps in images:
                        part, count = match_image(found[:limit], things, overlaps, kind, low, high, threshold)
                        results += part
                        positives += count
                    if positives:
                        values = curve(results, positives)
                        precision[t, :, k, a, m], score[t, :, k, a, m], recall[t, k, a, m] = values
    return precision, score, recall


def random_data(seed, kind, *, images=4, objects=5, found=8, classes=2, points=3):
    """Return a truth and detections; scores are equal often, boxes small, large, equal or of no area."""
    rng = np.random.default_rng(seed)

    def box():
        x, y = rng.integers(0, 40), rng.integers(0, 28)
        w, h = rng.integers(0, 24), rng.integers(0, 20)
        scale = rng.choice([1, 1, 4, 1.6])
        return [float(v) for v in (x, y, w * scale, h * scale)]

    def mask(b):
        values = np.zeros(SIZE, dtype=bool)
        x, y, w, h = (int(v) for v in b)
        values[y : y + h, x : x + w] = True
        values[y : y + h, x : x + w] &= rng.random(values[y : y + h, x : x + w].shape) < rng.choice([0.7, 1])
        return encode_mask(values)

    def keypoints(b):
        rows = [
            [b[0] + rng.integers(0, 12), b[1] + rng.integers(0, 12), rng.integers(0, 3)]
            for _ in range(points)
        ]
        return [float(v) for row in rows for v in row]

    def entry(image, near=None):
        b = list(near["bbox"]) if near else box()
        if near and rng.random() < 0.6:
            b[rng.integers(0, 4)] += float(rng.choice([1, 2, 0.5]))
        label = near["category_id"] if near and rng.random() < 0.8 else int(rng.integers(1, classes + 1)) * 3
        result = {"image_id": image, "category_id": label, "bbox": b}
        if kind == "segm":
            result["segmentation"] = near["segmentation"] if near and rng.random() < 0.5 else mask(b)
        if kind == "keypoints":
            result["keypoints"] = list(near["keypoints"]) if near and rng.random() < 0.5 else keypoints(b)
        return result

    truth = {
        "images": [{"id": i, "height": SIZE[0], "width": SIZE[1]} for i in (7, 3, 12, 4, 9, 1)[:images]],
        "categories": [{"id": 3 * (k + 1), "name": f"class {k}"} for k in range(classes)],
        "annotations": [],
    }
    detections = []
    for image in truth["images"]:
        things = [entry(image["id"]) for _ in range(rng.integers(0, objects + 1))]
        for thing in things:
            thing["iscrowd"] = int(rng.random() < 0.15)
            own = area_of(thing, kind)
            thing["area"] = float(rng.choice([own, 0.0, 1024.0, 9216.0], p=[0.7, 0.1, 0.1, 0.1]))
            truth["annotations"].append({"id": len(truth["annotations"]) + 1, **thing})
        for _ in range(rng.integers(0, found + 1)):
            near = things[rng.integers(0, len(things))] if things and rng.random() < 0.7 else None
            score = float(rng.choice([0.1, 0.25, 0.5, 0.5, 0.75, rng.random()]))
            detections.append({**entry(image["id"], near), "score": score})
    rng.shuffle(detections)
    return truth, detections
