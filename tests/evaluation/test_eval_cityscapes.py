"""Cityscapes' own metrics against versions that count pixel by pixel and match by match.

The numbers of `test_equal_to_cityscapes_scripts` were given by cityscapesscripts 2.3.0.
"""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "data"))
from cityscapes_files import write_cityscapes

from lazycfg.data import CityscapesInstances, CityscapesPanoptic, CityscapesSemSeg
from lazycfg.evaluation import CityscapesInstanceEvaluator, CityscapesSemSegEvaluator
from lazycfg.evaluation.cityscapes_files import read_ground_truth
from lazycfg.evaluation.cityscapes_sem_seg import AVERAGE_SIZE
from lazycfg.structures import BitMasks, Instances
from lazycfg.utils.cityscapes import INSTANCE_LABELS, LABELS, TRAIN_LABELS

IDS = np.array([label.id for label in INSTANCE_LABELS])
SIZE = (60, 80)


@pytest.fixture
def files(tmp_path):
    return write_cityscapes(tmp_path, size=SIZE)


def predicted_labels(rng, ids):
    """Classes (H, W), two thirds of them right."""
    labels = np.where(ids >= 1000, ids // 1000, ids)
    table = np.array([label.train_id for label in LABELS])
    random = rng.integers(0, 19, ids.shape)
    right = (table[labels] >= 0) & (rng.random(ids.shape) < 0.67)
    return np.where(right, table[labels], random)


def predicted_instances(rng, ids):
    """Moved and broken masks of all instances and groups, and some of nothing."""
    masks, classes = [], []
    for number in np.unique(ids).tolist():
        label = number // 1000 if number >= 1000 else number
        if label in IDS:
            for _ in range(int(rng.integers(0, 4))):
                moved = np.roll(ids == number, tuple(rng.integers(-2, 3, 2)), (0, 1))
                masks.append(moved & (rng.random(ids.shape) < rng.choice([0.6, 0.9, 1.0])))
                wrong = rng.random() < 0.2
                classes.append(int(rng.integers(8)) if wrong else IDS.tolist().index(label))
    for side in (0, 9, 20):
        mask = np.zeros(ids.shape, dtype=bool)
        mask[10 : 10 + side, 5 : 5 + side] = True
        masks.append(mask)
        classes.append(0)
    scores = np.round(rng.random(len(masks)), 1)
    tensor = torch.from_numpy(np.stack(masks))
    return Instances(
        ids.shape,
        pred_classes=torch.tensor(classes),
        pred_masks=tensor,
        scores=torch.from_numpy(scores),
        pred_boxes=BitMasks(tensor).get_bounding_boxes(),
    )


def iou_one_by_one(pairs):
    """`pairs` of (labels, instances, prediction in label ids)."""
    results = {}
    for kind, groups in (
        ("IoU", [[label] for label in TRAIN_LABELS]),
        ("IoU_sup", [[x for x in LABELS if x.category == c] for c in {x.category for x in TRAIN_LABELS}]),
    ):
        plain, weighted = [], []
        for group in groups:
            own = [label.id for label in group]
            evaluated = [label.id for label in group if not label.ignored]
            others = [label.id for label in TRAIN_LABELS if label.id not in own]
            hits = missed = wrong = right = whole = 0.0
            for labels, instances, found in pairs:
                true = np.isin(labels, evaluated)
                hits += (true & np.isin(found, evaluated)).sum()
                missed += (true & ~np.isin(found, evaluated)).sum()
                wrong += (np.isin(labels, others) & np.isin(found, own)).sum()
                for number in np.unique(instances[instances > 1000]).tolist():
                    label = LABELS[number // 1000]
                    if label.id in own and not label.ignored:
                        mask = instances == number
                        weight = AVERAGE_SIZE[label.name] / mask.sum()
                        right += weight * np.isin(found[mask], own).sum()
                        whole += weight * mask.sum()
            plain.append(hits / (hits + missed + wrong) if hits + missed + wrong else math.nan)
            if all(label.has_instances for label in group):
                weighted.append(right / (whole + wrong) if whole + wrong else math.nan)
        results[kind], results[f"i{kind}"] = 100 * np.nanmean(plain), 100 * np.nanmean(weighted)
    return results


def ap_one_by_one(images, label, threshold):
    """`images` of (map of instances, `Instances`)."""
    matches, missed, any_true, any_found = [], 0, False, False
    void = [x.id for x in LABELS if x.ignored]
    for ids, found in images:
        true = {
            number: ids == number
            for number in np.unique(ids).tolist()
            if (number // 1000 if number >= 1000 else number) == label
        }
        own = [
            (float(score), mask.numpy())
            for score, mask, k in zip(found.scores, found.pred_masks, found.pred_classes, strict=True)
            if IDS[k] == label and mask.any()
        ]
        any_found |= bool(own)

        def overlap(a, b):
            return (a & b).sum() / (a | b).sum()

        for number, mask in true.items():
            if number < 1000 or mask.sum() < 100:
                continue
            any_true = True
            scores = sorted((s for s, m in own if overlap(mask, m) > threshold), reverse=True)
            missed += not scores
            matches += [(s, i == 0) for i, s in enumerate(scores)]
        for score, mask in own:
            if any(overlap(mask, m) > threshold for m in true.values()):
                continue
            ignored = (mask & np.isin(ids, void)).sum()
            for number, m in true.items():
                ignored += (mask & m).sum() * ((number < 1000) + (m.sum() < 100))
            if ignored / mask.sum() <= threshold:
                matches.append((score, False))
    if not any_true:
        return math.nan
    if not any_found or not matches:
        return 0.0
    curve = []
    for least in sorted({score for score, _ in matches}):
        kept = [right for score, right in matches if score >= least]
        below = sum(right for score, right in matches if score < least)
        curve.append((sum(kept) / len(kept), sum(kept) / (sum(kept) + below + missed)))
    curve.append((1.0, 0.0))
    recalls = [curve[0][1], *(recall for _, recall in curve), 0.0]
    return sum(p * (recalls[i] - recalls[i + 2]) / 2 for i, (p, _) in enumerate(curve))


def test_sem_seg_one_by_one(files):
    rng = np.random.default_rng(3)
    dataset = CityscapesSemSeg(image_dir=files.image_dir, gt_dir=files.gt_dir)
    evaluator = CityscapesSemSegEvaluator(dataset=dataset)
    train_label_ids = np.array([label.id for label in TRAIN_LABELS])
    pairs = []
    for i, record in enumerate(dataset):
        ids = files.instances[record["image_id"]]
        found = predicted_labels(rng, ids)
        sem_seg = torch.from_numpy(found)
        if i == 0:  # scores in place of labels
            sem_seg = torch.nn.functional.one_hot(sem_seg, 19).permute(2, 0, 1).float()
        evaluator.process([record], [{"sem_seg": sem_seg}])
        pairs.append((np.where(ids >= 1000, ids // 1000, ids), ids, train_label_ids[found]))
    assert evaluator.evaluate()["sem_seg"] == pytest.approx(iou_one_by_one(pairs))


def test_instances_one_by_one(files):
    rng = np.random.default_rng(4)
    dataset = CityscapesInstances(image_dir=files.image_dir, gt_dir=files.gt_dir)
    evaluator = CityscapesInstanceEvaluator(dataset=dataset)
    images = []
    for record in dataset:
        ids = files.instances[record["image_id"]]
        found = predicted_instances(rng, ids)
        evaluator.process([record], [{"instances": found}])
        images.append((ids, found))
    values = np.array([[ap_one_by_one(images, k, t / 100) for t in range(50, 100, 5)] for k in IDS])
    expected = {"AP": 100 * np.nanmean(values), "AP50": 100 * np.nanmean(values[:, 0])}
    assert evaluator.evaluate()["segm"] == pytest.approx(expected)
    assert 0 < expected["AP"] < expected["AP50"]


def test_equal_to_cityscapes_scripts(files):
    rng = np.random.default_rng(7)
    evaluator = CityscapesSemSegEvaluator(
        dataset=CityscapesSemSeg(image_dir=files.image_dir, gt_dir=files.gt_dir)
    )
    dataset = CityscapesInstances(image_dir=files.image_dir, gt_dir=files.gt_dir)
    of_instances = CityscapesInstanceEvaluator(dataset=dataset)
    for record in dataset:
        ids = files.instances[record["image_id"]]
        evaluator.process([record], [{"sem_seg": torch.from_numpy(predicted_labels(rng, ids))}])
        of_instances.process([record], [{"instances": predicted_instances(rng, ids)}])
    assert evaluator.evaluate()["sem_seg"] == pytest.approx(
        {
            "IoU": 30.0645066515,
            "iIoU": 41.9363588318,
            "IoU_sup": 49.0913309602,
            "iIoU_sup": 73.9178816085,
        }
    )
    assert of_instances.evaluate()["segm"] == pytest.approx({"AP": 6.8316666667, "AP50": 23.5})


def _evaluate(folder, part=slice(None)):
    """Results of both evaluators for a part of the images."""
    paths = {"image_dir": folder / "leftImg8bit" / "train", "gt_dir": folder / "gtFine" / "train"}
    of_labels = CityscapesSemSegEvaluator(dataset=CityscapesSemSeg(**paths))
    dataset = CityscapesInstances(**paths)
    of_instances = CityscapesInstanceEvaluator(dataset=dataset)
    for i in range(len(dataset))[part]:
        rng = np.random.default_rng(i)
        ids = read_ground_truth(str(paths["gt_dir"]), dataset[i], "instanceIds", SIZE)
        of_labels.process([dataset[i]], [{"sem_seg": torch.from_numpy(predicted_labels(rng, ids))}])
        of_instances.process([dataset[i]], [{"instances": predicted_instances(rng, ids)}])
    return of_labels.evaluate(), of_instances.evaluate()


def _evaluate_in_two(rank, folder, results):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", rank=rank, world_size=2, init_method=f"file://{folder}/rendezvous"
    )
    results[rank] = _evaluate(folder, slice(rank, None, 2))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes(files, tmp_path):
    with mp.get_context("spawn").Manager() as manager:
        results = manager.dict()
        mp.spawn(_evaluate_in_two, args=(tmp_path, results), nprocs=2)
        for got, expected in zip(results[0], _evaluate(tmp_path), strict=True):
            assert {k: pytest.approx(v) for k, v in got.items()} == expected
        assert results[1] == (None, None)


def test_what_is_perfect_and_what_is_nothing(files):
    dataset = CityscapesInstances(image_dir=files.image_dir, gt_dir=files.gt_dir)
    evaluator = CityscapesInstanceEvaluator(dataset=dataset)
    for record in dataset:
        masks = np.stack([files.instances[record["image_id"]] == i for i in range(24000, 34000)][:10000])
        masks = masks[masks.any(axis=(1, 2))]
        ids = [int(files.instances[record["image_id"]][mask][0]) // 1000 for mask in masks]
        known = np.isin(ids, IDS)
        tensor = torch.from_numpy(masks[known])
        found = Instances(
            SIZE,
            pred_classes=torch.tensor([IDS.tolist().index(i) for i in np.array(ids)[known]]),
            pred_masks=tensor,
            scores=torch.ones(len(tensor)),
            pred_boxes=BitMasks(tensor).get_bounding_boxes(),
        )
        evaluator.process([record], [{"instances": found}])
    assert evaluator.evaluate()["segm"] == {"AP": 100, "AP50": 100}
    evaluator.reset()
    for record in dataset:
        evaluator.process([{**record, "height": SIZE[0], "width": SIZE[1]}], [{}])
    assert evaluator.evaluate()["segm"] == {"AP": 0, "AP50": 0}


def test_the_files_are_those_of_the_server(files, tmp_path):
    dataset = CityscapesInstances(image_dir=files.image_dir, gt_dir=files.gt_dir)
    rng = np.random.default_rng(0)
    folder = tmp_path / "instances"
    evaluator = CityscapesInstanceEvaluator(dataset=dataset, output_dir=folder)
    record = dataset[0]
    found = predicted_instances(rng, files.instances[record["image_id"]])
    evaluator.try_out([record], [{"instances": found}])
    assert not folder.exists()
    evaluator.process([record], [{"instances": found}])
    stem = Path(record["file_name"]).stem
    lines = [line.split() for line in (folder / f"{stem}_pred.txt").read_text().splitlines()]
    assert len(lines) == len(found)
    for (name, label, score), instance in zip(lines, range(len(found)), strict=True):
        assert int(label) == IDS[found.pred_classes[instance]]
        assert float(score) == found.scores[instance]
        mask = np.asarray(Image.open(folder / name))
        assert np.array_equal(mask, 255 * found.pred_masks[instance].numpy().astype(np.uint8))
    evaluator.process([{**dataset[1], "height": SIZE[0], "width": SIZE[1]}], [{}])
    assert (folder / f"{Path(dataset[1]['file_name']).stem}_pred.txt").read_text() == ""

    dataset = CityscapesSemSeg(image_dir=files.image_dir, gt_dir=files.gt_dir)
    evaluator = CityscapesSemSegEvaluator(dataset=dataset, output_dir=tmp_path / "labels")
    classes = torch.from_numpy(rng.integers(0, 19, SIZE))
    evaluator.process([dataset[0]], [{"sem_seg": classes}])
    written = np.asarray(Image.open(tmp_path / "labels" / f"{stem}_pred.png"))
    assert np.array_equal(written, np.array([label.id for label in TRAIN_LABELS])[classes.numpy()])


def test_a_panoptic_data_set_serves_both(files):
    dataset = CityscapesPanoptic(
        panoptic_json=files.panoptic_json,
        panoptic_root=files.panoptic_root,
        image_dir=files.image_dir,
        gt_dir=files.gt_dir,
    )
    for make, task in ((CityscapesSemSegEvaluator, "sem_seg"), (CityscapesInstanceEvaluator, "segm")):
        evaluator = make(dataset=dataset)
        record = dataset[0]
        evaluator.process([record], [{"sem_seg": torch.zeros(SIZE, dtype=torch.int64)}])
        assert task in evaluator.evaluate()


def test_what_cannot_be_evaluated(files):
    without = CityscapesSemSeg(image_dir=files.image_dir, gt_dir=None)
    with pytest.raises(ValueError, match=r"no extra\['gt_dir'\]"):
        CityscapesSemSegEvaluator(dataset=without)
    dataset = CityscapesSemSeg(image_dir=files.image_dir, gt_dir=files.gt_dir)
    evaluator = CityscapesSemSegEvaluator(dataset=dataset)
    with pytest.raises(ValueError, match=r"prediction is of \(3, 4\) pixels, .*labelIds.png has \(60, 80\)"):
        evaluator.process([dataset[0]], [{"sem_seg": torch.zeros(3, 4)}])
    dataset.metadata = dataset.metadata.replace(stuff_classes=("road", "zebra"))
    with pytest.raises(ValueError, match=r"the classes \['zebra'\] of the dataset"):
        CityscapesSemSegEvaluator(dataset=dataset)
