"""Average precision and recall, against plain loops over detections and objects."""

import numpy as np
import pytest

from lazycfg.projects.densepose.evaluation.matching import ImageOverlaps, densepose_scores, iou_thresholds

AREAS = {"": (0, 1e10), "m": (32**2, 96**2), "l": (96**2, 1e10)}


def some_images(rng, images=12, classes=2, coarse=False):
    def values(*shape):
        made = rng.random(shape)
        return np.round(made * 4) / 4 if coarse else made

    made = []
    for k in range(images):
        d, g = rng.integers(0, 6), rng.integers(0, 5)
        made.append(
            ImageOverlaps(
                image_id=k,
                labels=rng.integers(0, classes, d),
                scores=values(d),
                areas=rng.choice([500.0, 4000.0, 20000.0], d),
                gt_labels=rng.integers(0, classes, g),
                gt_areas=rng.choice([500.0, 4000.0, 20000.0], g),
                gt_ignored=rng.random(g) < 0.3,
                gt_crowd=rng.random(g) < 0.2,
                gps=values(d, g),
                masks=values(d, g),
                boxes=values(d, g),
            )
        )
    return made


def plain_image(image, label, kind, thresholds, area):
    """One image and class: rows of (score, matched, ignored), at each threshold, and objects to be found."""
    dets = [i for i in range(len(image.labels)) if image.labels[i] == label]
    dets.sort(key=lambda i: -image.scores[i])
    gts = [j for j in range(len(image.gt_labels)) if image.gt_labels[j] == label]
    if not dets and not gts:
        return [], 0
    ignore = {j: image.gt_ignored[j] or not area[0] <= image.gt_areas[j] <= area[1] for j in gts}
    gts.sort(key=lambda j: ignore[j])
    matched = {i: [False] * len(thresholds) for i in dets}
    ignored = {i: [all(ignore.values())] * len(thresholds) for i in dets}
    taken = {}
    for t, threshold in enumerate(thresholds):
        for i in dets:
            best, value = None, min(threshold, 1 - 1e-10)
            for j in gts:
                if taken.get((t, j)) and not image.gt_crowd[j]:
                    continue
                if best is not None and not ignore[best] and ignore[j]:
                    break
                new = {"gps": image.gps[i, j], "segm": image.masks[i, j]}.get(kind)
                new = np.sqrt(image.masks[i, j] * image.gps[i, j]) if new is None else new
                if new < value or new == 0:
                    continue
                best, value = j, new
            if best is not None:
                ignored[i][t], matched[i][t], taken[t, best] = ignore[best], True, True
    last = len(thresholds) - 1
    for i in dets:
        if matched[i][last]:
            continue
        best, value = None, 0.8
        for j in gts:
            if taken.get((last, j)) and not image.gt_crowd[j]:
                continue
            if best is not None and not ignore[best] and ignore[j]:
                break
            if image.boxes[i, j] >= value:
                best, value = j, image.boxes[i, j]
        if best is not None:
            ignored[i] = [ignore[best]] * len(thresholds)
            if ignore[best]:
                matched[i] = [True] * len(thresholds)
                for t in range(len(thresholds)):
                    taken[t, best] = True
    for i in dets:
        if not area[0] <= image.areas[i] <= area[1]:
            ignored[i] = [a or not b for a, b in zip(ignored[i], matched[i], strict=True)]
    return [(image.scores[i], matched[i], ignored[i]) for i in dets], sum(not v for v in ignore.values())


def plain_curve(rows, objects, t):
    """Precision at 101 recalls and the highest recall."""
    right = wrong = 0
    points = []
    for _, matched, ignored in sorted(rows, key=lambda row: -row[0]):
        if ignored[t]:
            continue
        right, wrong = right + matched[t], wrong + (not matched[t])
        points.append((right / objects, right / (right + wrong)))
    precision = [max([p for r, p in points if r >= level], default=0.0) for level in np.linspace(0, 1, 101)]
    return precision, (points[-1][0] if points else 0.0)


@pytest.mark.parametrize("kind", ["gps", "gpsm", "segm"])
@pytest.mark.parametrize("coarse", [False, True], ids=["", "equal values"])
@pytest.mark.parametrize("lowest", [0.5, 0.2])
def test_as_plain_loops(kind, coarse, lowest):
    for seed in range(3):
        images = some_images(np.random.default_rng(seed), coarse=coarse)
        thresholds = iou_thresholds(lowest)
        scores = densepose_scores(images, ["a", "b"], kind, thresholds)
        expected = {}
        per_class = {0: [], 1: []}
        for suffix, area in AREAS.items():
            precisions, recalls, at = [], [], {}
            for label in (0, 1):
                found = [plain_image(x, label, kind, thresholds, area) for x in images]
                rows, objects = [row for r, _ in found for row in r], sum(n for _, n in found)
                if not objects:
                    continue
                for t, threshold in enumerate(thresholds):
                    p, r = plain_curve(rows, objects, t)
                    precisions += p
                    recalls.append(r)
                    at.setdefault(round(100 * threshold), []).append((p, r))
                    if not suffix:
                        per_class[label] += p
            expected[f"AP{suffix}"], expected[f"AR{suffix}"] = np.mean(precisions), np.mean(recalls)
            if not suffix:
                for percent in (50, 75) if lowest == 0.5 else (20, 30, 40, 50, 75):
                    expected[f"AP{percent}"] = np.mean([p for p, _ in at[percent]])
                    if percent >= 50:
                        expected[f"AR{percent}"] = np.mean([r for _, r in at[percent]])
        expected |= {f"AP-{'ab'[label]}": np.mean(values) for label, values in per_class.items()}
        assert set(scores) == set(expected)
        for name, value in expected.items():
            assert scores[name] == pytest.approx(100 * value, abs=1e-6), name


def test_nothing_to_be_found():
    rng = np.random.default_rng(0)
    images = some_images(rng)
    empty = [x for x in images if not len(x.gt_labels)]
    assert empty
    assert all(np.isnan(v) for v in densepose_scores(empty, ["a"], "gps", iou_thresholds(0.5)).values())
    with pytest.raises(ValueError, match="kind must be"):
        densepose_scores(images, ["a"], "iou", iou_thresholds(0.5))
