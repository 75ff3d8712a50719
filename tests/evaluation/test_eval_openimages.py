"""OpenImages' metric against the published algorithm by plain loops, and its files."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lazycfg.evaluation import OpenImagesEvaluator, openimages_scores
from lazycfg.evaluation.openimages_scores import Hierarchy, VerifiedLabels
from lazycfg.structures import Boxes, BoxMode, Instances

NAMES = ("Animal", "Dog", "Poodle", "Car")
PARENTS = {2: frozenset({1}), 3: frozenset({2})}  # ids count from 1


def random_data(seed, images=6):
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for image in range(images):
        for _ in range(rng.integers(0, 6)):
            x, y, w, h = (int(v) for v in rng.integers([0, 0, 4, 4], [40, 40, 30, 30]))
            label, group = int(rng.integers(1, 5)), int(rng.random() < 0.3)
            thing = {"image_id": image, "category_id": label, "bbox": [x, y, w, h], "area": w * h}
            truth.append({**thing, "iscrowd": group})
            for _ in range(rng.integers(0, 4)):
                moved = [float(v) for v in rng.normal([x, y, w, h], 3)]
                moved[2:] = [max(1.0, moved[2] * rng.uniform(0.4, 1)), max(1.0, moved[3])]
                guess = label if rng.random() < 0.8 else int(rng.integers(1, 5))
                score = {"image_id": image, "category_id": guess, "score": float(rng.random())}
                found.append({**score, "bbox": moved})
    content = {
        "images": [{"id": image, "height": 80, "width": 80} for image in range(images)],
        "annotations": [{**t, "id": i} for i, t in enumerate(truth, 1)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(NAMES, 1)],
    }
    present, absent = {}, {}
    for image in range(images):
        labels = rng.permutation(4)[: rng.integers(0, 4)] + 1
        present[image] = frozenset(int(v) for v in labels[::2])
        absent[image] = frozenset(int(v) for v in labels[1::2])
    return content, found, present, absent


def area_shared(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height)


def plain(content, found, present, absent, count_groups, expand):
    """Image by image, detection by detection."""
    above = {1: [], 2: [1], 3: [1, 2], 4: []} if expand else {i: [] for i in range(1, 5)}
    result = []
    for label in range(1, 5):
        entries, number = [], 0
        for image in range(len(content["images"])):
            things = [
                t
                for t in content["annotations"]
                if t["image_id"] == image and (t["category_id"] == label or label in above[t["category_id"]])
            ]
            dets = [d for d in found if d["image_id"] == image and d["category_id"] == label]
            said = present[image] | absent[image]
            said |= {a for p in present[image] for a in above[p]}
            said |= {c for c in above if any(a in absent[image] for a in above[c])}
            if not things and label not in said:
                dets = []
            singles = [t["bbox"] for t in things if not t["iscrowd"]]
            groups = [t["bbox"] for t in things if t["iscrowd"]]
            number += len(singles) + (len(groups) if count_groups else 0)
            taken, best = set(), {}
            for det in sorted(dets, key=lambda d: -d["score"]):
                box = det["bbox"]
                ious = []
                for other in singles:
                    both = area_shared(box, other)
                    ious.append(both / (box[2] * box[3] + other[2] * other[3] - both))
                if ious and max(ious) >= 0.5 and ious.index(max(ious)) not in taken:
                    taken.add(ious.index(max(ious)))
                    entries.append((det["score"], True))
                    continue
                parts = [area_shared(box, other) / (box[2] * box[3]) for other in groups]
                if parts and max(parts) >= 0.5:
                    where = parts.index(max(parts))
                    best[where] = max(best.get(where, 0), det["score"])
                else:
                    entries.append((det["score"], False))
            if count_groups:
                entries += [(score, True) for score in best.values()]
        result.append(math.nan if number == 0 else 100 * area(sorted(entries, reverse=True), number))
    return result


def area(entries, number):
    hits, points = 0, []
    for rank, (_, right) in enumerate(entries, 1):
        hits += right
        points.append((hits / number, hits / rank))
    total, last = 0.0, 0.0
    for recall, _ in points:
        if recall > last:
            total += (recall - last) * max(p for r, p in points if r >= recall)
            last = recall
    return total


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count_groups", [True, False])
@pytest.mark.parametrize("expand", [True, False])
def test_equal_to_plain_loops(seed, count_groups, expand):
    content, found, present, absent = random_data(seed)
    rows = openimages_scores(
        content,
        found,
        hierarchy=Hierarchy(PARENTS) if expand else None,
        verified=VerifiedLabels(present, absent),
        count_groups=count_groups,
    )
    expected = plain(content, found, present, absent, count_groups, expand)
    np.testing.assert_allclose([row["AP50"] for row in rows], expected, atol=1e-9)


def test_a_circle_of_classes_ends():
    assert Hierarchy({1: frozenset({2}), 2: frozenset({1})}).ancestors(1) == {2}


class Data:
    """Of `random_data`, as a data set of records."""

    def __init__(self, content):
        self.metadata = SimpleNamespace(thing_classes=NAMES, name="openimages")
        self.content = content

    def __len__(self):
        return len(self.content["images"])

    def __getitem__(self, index):
        things = [
            {**t, "category_id": t["category_id"] - 1, "bbox_mode": BoxMode.XYWH_ABS}
            for t in self.content["annotations"]
            if t["image_id"] == index
        ]
        return {"image_id": f"{index:x}", "height": 80, "width": 80, "annotations": things}


def labels_of(folder):
    """The files of OpenImages, whose labels are not the names of the classes."""
    (folder / "names.csv").write_text("".join(f"/m/{n.lower()},{n}\n" for n in NAMES))
    dog = {"LabelName": "/m/dog", "Subcategory": [{"LabelName": "/m/poodle"}]}
    # A class between that the data set has not
    animal = {"LabelName": "/m/animal", "Subcategory": [{"LabelName": "/m/mammal", "Subcategory": [dog]}]}
    root = {"LabelName": "/m/entity", "Subcategory": [animal, {"LabelName": "/m/car"}]}
    (folder / "hierarchy.json").write_text(json.dumps(root))
    return {"class_descriptions": folder / "names.csv", "hierarchy": folder / "hierarchy.json"}


def test_the_evaluator_reads_the_files_of_openimages(tmp_path):
    content, found, present, absent = random_data(3)
    lines = ["ImageID,Source,LabelName,Confidence"]
    for side, said in ((present, 1), (absent, 0)):
        lines += [f"{i:x},verification,/m/{NAMES[c - 1].lower()},{said}" for i in side for c in side[i]]
    (tmp_path / "labels.csv").write_text("\n".join([*lines, "ffff,verification,/m/car,1"]))
    evaluator = OpenImagesEvaluator(
        dataset=Data(content),
        **labels_of(tmp_path),
        image_labels=tmp_path / "labels.csv",
        output_dir=tmp_path / "out",
    )
    evaluator.reset()
    for image in range(len(content["images"])):
        dets = [d for d in found if d["image_id"] == image]
        boxes = torch.tensor([d["bbox"] for d in dets], dtype=torch.float64).reshape(-1, 4)
        instances = Instances(
            (80, 80),
            pred_boxes=Boxes(torch.cat((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), dim=1).float()),
            scores=torch.tensor([d["score"] for d in dets]),
            pred_classes=torch.tensor([d["category_id"] - 1 for d in dets], dtype=torch.int64),
        )
        evaluator.process([{"image_id": f"{image:x}"}], [{"instances": instances}])
    results = evaluator.evaluate()["bbox"]
    expected = plain(content, found, present, absent, True, True)
    got = [results[f"AP50-{name}"] for name in NAMES]
    np.testing.assert_allclose(got, expected, atol=1e-4)
    assert results["AP50"] == pytest.approx(np.nanmean(expected), abs=1e-4)
    assert json.loads((tmp_path / "out/openimages_per_class_bbox.json").read_text())[0]["class"] == "Animal"
    assert (tmp_path / "out/openimages_instances_results.json").exists()


def test_files_that_do_not_belong_to_the_data_are_refused(tmp_path):
    data = Data(random_data(0)[0])
    files = labels_of(tmp_path)
    with pytest.raises(ValueError, match="class_descriptions"):
        OpenImagesEvaluator(dataset=data, hierarchy=files["hierarchy"])
    (tmp_path / "labels.csv").write_text("image,label\n1,2\n")
    with pytest.raises(ValueError, match="ImageID, LabelName, Confidence"):
        OpenImagesEvaluator(dataset=data, image_labels=tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_text("ImageID,LabelName,Confidence\n1,/m/dog,perhaps\n")
    with pytest.raises(ValueError, match=r"labels\.csv:2"):
        OpenImagesEvaluator(dataset=data, image_labels=tmp_path / "labels.csv")
    (tmp_path / "names.csv").write_text("/m/x,Spoon\n")
    with pytest.raises(ValueError, match="none of its classes"):
        OpenImagesEvaluator(dataset=data, class_descriptions=tmp_path / "names.csv")
    with pytest.raises(ValueError, match="tasks"):
        OpenImagesEvaluator(dataset=data, tasks=["keypoints"])
