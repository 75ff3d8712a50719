"""Kinds of mistakes and the confusion of classes, detection by detection.

Of boxes XYWH; detections and objects as in COCO's files, scores all different.
"""

import numpy as np


def overlap(a, b, crowd=False):
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / (a[2] * a[3] if crowd else a[2] * a[3] + b[2] * b[3] - w * h)


def best_of(values):
    return max(range(len(values)), key=lambda i: values[i]) if values else None


def match(truth, detections, iou=0.5):
    """Return the detections by falling score, each with the objects of its image and which it found."""
    things = [{**a, "by": None} for a in truth["annotations"]]
    rows = []
    for d in sorted(detections, key=lambda d: -d["score"]):
        here = [t for t in things if t["image_id"] == d["image_id"]]
        real, crowds = [t for t in here if not t["iscrowd"]], [t for t in here if t["iscrowd"]]
        row = {**d, "things": real, "found": None, "ignored": False}
        best, at_least = None, iou
        for t in real:
            value = overlap(d["bbox"], t["bbox"])
            if t["category_id"] == d["category_id"] and t["by"] is None and value >= at_least:
                best, at_least = t, value
        if best is not None:
            best["by"] = row
            row["found"] = best
        else:
            row["ignored"] = any(
                c["category_id"] == d["category_id"] and overlap(d["bbox"], c["bbox"], True) >= iou
                for c in crowds
            )
        rows.append(row)
    return rows, [t for t in things if not t["iscrowd"]]


def mean_ap(rows, objects):
    """`rows`: (score, class, right); `objects`: number by class, of the classes that had any."""
    values = []
    for label, count in objects.items():
        hits = misses = 0
        points = []
        for _, _, right in sorted((r for r in rows if r[1] == label), key=lambda r: -r[0]):
            hits, misses = hits + right, misses + (not right)
            points.append((hits / count if count else 0, hits / (hits + misses)))
        total = 0.0
        for level in np.linspace(0, 1, 101):
            total += max([p for r, p in points if r >= level], default=0.0) if count else 0.0
        values.append(total / 101)
    return 100 * sum(values) / len(values)


def kind_of(row, iou, background):
    same = [overlap(row["bbox"], t["bbox"]) * (t["category_id"] == row["category_id"]) for t in row["things"]]
    other = [
        overlap(row["bbox"], t["bbox"]) * (t["category_id"] != row["category_id"]) for t in row["things"]
    ]
    i, j = best_of(same), best_of(other)
    if i is not None and background <= same[i] < iou:
        return "localization", row["things"][i]
    if j is not None and other[j] >= iou:
        return "classification", row["things"][j]
    if any(value >= iou and t["by"] is not None for value, t in zip(same, row["things"], strict=True)):
        return "duplicate", None
    if max([*same, *other], default=0.0) <= background:
        return "background", None
    return "both", None


def errors(truth, detections, iou=0.5, background=0.1):
    rows, things = match(truth, detections, iou)
    objects = {}
    for t in things:
        objects[t["category_id"]] = objects.get(t["category_id"], 0) + 1
    counted = [r for r in rows if not r["ignored"]]
    for r in counted:
        r["kind"], r["about"] = (None, None) if r["found"] else kind_of(r, iou, background)
    for t in things:
        t["mender"] = None
        for r in counted:  # the best comes first
            if t["by"] is None and r["about"] is t and t["mender"] is None:
                t["mender"] = r
    plain = [(r["score"], r["category_id"], r["found"] is not None) for r in counted]
    now = mean_ap(plain, objects)
    gains, counts = {}, {}
    for kind in ("classification", "localization", "both", "duplicate", "background"):
        mended = []
        for r in counted:
            if r["kind"] != kind:
                mended.append((r["score"], r["category_id"], r["found"] is not None))
            elif r["about"] is not None and r["about"]["mender"] is r:
                mended.append((r["score"], r["about"]["category_id"], True))
        counts[kind] = sum(r["kind"] == kind for r in counted)
        gains[kind] = max(0.0, mean_ap(mended, objects) - now)
    missed = [t for t in things if t["by"] is None and t["mender"] is None]
    counts["missed"] = len(missed)
    for name, lost in (("missed", missed), ("false_negatives", [t for t in things if t["by"] is None])):
        left = {k: n - sum(t["category_id"] == k for t in lost) for k, n in objects.items()}
        gains[name] = max(0.0, mean_ap(plain, left) - now)
    gains["false_positives"] = max(
        0.0, mean_ap([(float(right), k, right) for _, k, right in plain], objects) - now
    )
    return {"AP50": now, "counts": counts, "dAP": gains}


def confusion(truth, detections, threshold, iou=0.5):
    rows, things = match(truth, [d for d in detections if d["score"] >= threshold], iou)
    index = {category["id"]: k for k, category in enumerate(truth["categories"])}
    matrix = np.zeros((len(index) + 1, len(index) + 1), dtype=int)
    for r in rows:
        if r["found"]:
            matrix[index[r["category_id"]], index[r["category_id"]]] += 1
    for r in rows:
        if r["found"] or r["ignored"]:
            continue
        best, at_least = None, iou
        for t in r["things"]:
            value = overlap(r["bbox"], t["bbox"])
            if t["by"] is None and value >= at_least:
                best, at_least = t, value
        if best is not None:
            best["by"] = r
        matrix[len(index) if best is None else index[best["category_id"]], index[r["category_id"]]] += 1
    for t in things:
        if t["by"] is None:
            matrix[index[t["category_id"]], len(index)] += 1
    return matrix.tolist()


def best_f1(truth, detections, label, iou=0.5):
    """Return the best F1 of a class and the threshold, each threshold tried."""
    best = (0.0, None)
    for threshold in sorted({d["score"] for d in detections if d["category_id"] == label}, reverse=True):
        rows, things = match(truth, [d for d in detections if d["score"] >= threshold], iou)
        own = [r for r in rows if r["category_id"] == label and not r["ignored"]]
        hits = sum(r["found"] is not None for r in own)
        count = sum(t["category_id"] == label for t in things)
        value = 2 * hits / (len(own) + count) if count else 0.0
        if value > best[0]:
            best = (value, threshold)
    return best
